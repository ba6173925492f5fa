from tests.stacks.conftest import ARTIFACTS, DATA, PROD, Assembly, Synthesize, flat


def test_nobody_outside_can_be_let_into_a_bucket(assembly: Assembly) -> None:
    for bucket in assembly.data.of_type("AWS::S3::Bucket").values():
        assert set(bucket["Properties"]["PublicAccessBlockConfiguration"].values()) == {True}


def test_objects_are_encrypted_at_rest_without_a_key_that_costs(assembly: Assembly) -> None:
    for bucket in assembly.data.of_type("AWS::S3::Bucket").values():
        (rule,) = bucket["Properties"]["BucketEncryption"]["ServerSideEncryptionConfiguration"]
        assert rule["ServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}


def test_only_tls_1_2_and_newer_reaches_a_bucket(assembly: Assembly) -> None:
    policies = assembly.data.of_type("AWS::S3::BucketPolicy").values()
    assert len(policies) == len(assembly.data.of_type("AWS::S3::Bucket")) == 2
    for policy in policies:
        denied = [
            statement["Condition"]
            for statement in policy["Properties"]["PolicyDocument"]["Statement"]
            if statement["Effect"] == "Deny" and statement["Action"] == "s3:*"
        ]
        assert denied == [{"Bool": {"aws:SecureTransport": "false"}}, {"NumericLessThan": {"s3:TlsVersion": 1.2}}]


def test_dev_leaves_no_bucket_behind(dev: Assembly) -> None:
    buckets = dev.data.of_type("AWS::S3::Bucket")
    emptied = [
        flat(each["Properties"]["BucketName"]) for each in dev.data.of_type("Custom::S3AutoDeleteObjects").values()
    ]
    assert {f"${{{id}}}" for id in buckets} == set(emptied)
    assert {each["DeletionPolicy"] for each in buckets.values()} == {"Delete"}


def test_prod_keeps_its_buckets(prod: Assembly) -> None:
    buckets = prod.data.of_type("AWS::S3::Bucket").values()
    assert {(each["DeletionPolicy"], each["UpdateReplacePolicy"]) for each in buckets} == {("Retain", "Retain")}
    assert not prod.data.of_type("Custom::S3AutoDeleteObjects")


def test_a_bucket_that_is_kept_goes_on_refusing_what_its_policy_refuses(dev: Assembly, prod: Assembly) -> None:
    assert {each.get("DeletionPolicy") for each in prod.data.of_type("AWS::S3::BucketPolicy").values()} == {"Retain"}
    assert {each.get("DeletionPolicy") for each in dev.data.of_type("AWS::S3::BucketPolicy").values()} == {None}


def test_what_was_overwritten_can_be_had_back(assembly: Assembly) -> None:
    for id, bucket in assembly.data.of_type("AWS::S3::Bucket").items():
        assert bucket["Properties"]["VersioningConfiguration"] == {"Status": "Enabled"}, id


def test_nothing_unfinished_or_temporary_is_paid_for_long(assembly: Assembly) -> None:
    expiring = {}
    for id, bucket in assembly.data.of_type("AWS::S3::Bucket").items():
        rules = bucket["Properties"]["LifecycleConfiguration"]["Rules"]
        assert {"DaysAfterInitiation": 1} in [rule.get("AbortIncompleteMultipartUpload") for rule in rules], id
        expiring |= {rule["Prefix"]: rule["ExpirationInDays"] for rule in rules if "Prefix" in rule}
    assert expiring == {"uploads/": 1, "idempotency/": 1, "checkpoints/": 30}


def test_old_versions_go_after_a_month_and_those_of_what_is_kept_briefly_after_a_day(assembly: Assembly) -> None:
    for bucket, passing in (("Data", ("uploads/", "idempotency/")), ("Artifacts", ("checkpoints/",))):
        rules = assembly.data.the("AWS::S3::Bucket", bucket)["LifecycleConfiguration"]["Rules"]
        days = {
            rule.get("Prefix"): rule["NoncurrentVersionExpiration"]["NoncurrentDays"]
            for rule in rules
            if "NoncurrentVersionExpiration" in rule
        }
        assert days == {None: 30, **dict.fromkeys(passing, 1)}


def test_browsers_reach_the_data_bucket_only_from_origins_that_are_configured(dev: Assembly, prod: Assembly) -> None:
    assert "CorsConfiguration" not in dev.data.the("AWS::S3::Bucket", "Data")
    (rule,) = prod.data.the("AWS::S3::Bucket", "Data")["CorsConfiguration"]["CorsRules"]
    assert rule["AllowedOrigins"] == ["https://one.example", "https://two.example"]
    assert "CorsConfiguration" not in prod.data.the("AWS::S3::Bucket", "Artifacts")


def test_scripts_find_the_buckets(dev: Assembly) -> None:
    assert {"DataBucketName", "ArtifactsBucketName"} <= dev.data.outputs.keys()


def test_data_may_be_kept_in_dev_and_dropped_in_prod(tuned: Assembly) -> None:
    assert {each["DeletionPolicy"] for each in tuned.data.of_type("AWS::S3::Bucket").values()} == {"Retain"}


def test_buckets_that_are_adopted_are_not_made(adopting: Assembly) -> None:
    assert [each["Type"] for _, each in adopting.resources if each["Type"].startswith(("AWS::S3", "Custom::S3"))] == []
    assert adopting.data.outputs == {"DataBucketName": "our-data", "ArtifactsBucketName": "our-models"}
    assert adopting.data.body["Resources"]  # CloudFormation takes no template without any


def test_an_adopted_bucket_is_read_and_written_as_one_of_ours(adopting: Assembly, prod: Assembly) -> None:
    def granted(assembly: Assembly) -> set[tuple[str, str]]:
        return {
            (action, resource)
            for template in (assembly.training, assembly.serving, assembly.api)
            for actions, resources, _ in template.statements("")
            for action in actions
            for resource in resources
            if action.startswith("s3:")
        }

    names = {
        DATA.replace("-dev", "-prod"): "arn:${AWS::Partition}:s3:::our-data",
        ARTIFACTS.replace("-dev", "-prod"): "arn:${AWS::Partition}:s3:::our-models",
    }
    expected = set()
    for action, resource in granted(prod):
        bucket, slash, prefix = resource.partition("/")
        expected.add((action, names[bucket] + slash + prefix))
    assert granted(adopting) == expected
    environments = [each["Properties"] for each in adopting.api.of_type("AWS::Lambda::Function").values()]
    assert "our-data" in {each["Environment"]["Variables"].get("DATA_BUCKET") for each in environments}


def test_one_bucket_may_be_adopted_and_the_other_made(synthesize: Synthesize) -> None:
    data = synthesize(**PROD, artifacts_bucket="our-models").data
    assert [id.startswith("Data") for id in data.of_type("AWS::S3::Bucket")] == [True]
    assert data.outputs["ArtifactsBucketName"] == "our-models"
    assert not data.of_type("AWS::CloudFormation::WaitConditionHandle")
