from contract.training_steps import TrainingJob


def test_what_aws_says_is_read_and_told_in_its_own_names_and_may_have_more_members() -> None:
    job = {
        "ModelArtifacts": {"S3ModelArtifacts": "s3://artifacts/models/one/"},
        "AlgorithmSpecification": {"TrainingImage": "repository:train", "TrainingInputMode": "File"},
        "TrainingJobStatus": "Completed",
    }
    told = TrainingJob.model_validate(job).model_dump(by_alias=True)
    assert told["ModelArtifacts"] == job["ModelArtifacts"]
    assert told["AlgorithmSpecification"] == {"TrainingImage": "repository:train"}
