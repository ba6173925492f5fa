"""Training: the image, the role and the state machine that runs one SageMaker training job per execution.

    aws stepfunctions start-execution --state-machine-arn … --name attempt-1 \\
        --input '{"dataset_s3_uri": "s3://<data bucket>/snapshots/<name>/", "hyperparameters": {"epochs": "5"}}'

CloudFormation knows no training job that it could create: the state machine is the definition of one. `hyperparameters`
may be left out. The job is called `wordsight-<stage>-<name>`: as its name may have 63 characters, letters, digits and
hyphens, an execution of `dev` may have 49 of them, and neither an underscore nor a hyphen at the end. Without --name it
is a UUID, which fits. The output is {"training_job_name", "artifact_s3_uri"}, and the URI is what `ModelUri` takes.
"""

from aws_cdk import CfnOutput, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from stacks.config import StageConfig
from stacks.data import CHECKPOINTS_PREFIX, MODELS_PREFIX, TRAINING_PREFIXES, DataStack
from stacks.execution_role import ExecutionRole
from stacks.images import ContainerImage
from stacks.log_groups import log_group
from stacks.training_job import create_training_job_state

LOG_GROUP_NAME = "/aws/sagemaker/TrainingJobs"
"""SageMaker's, shared by all training jobs of the account: written to, never managed."""


class TrainingStack(Stack):
    """The state machine, and the role its training jobs run with."""

    def __init__(self, scope: Construct, id: str, *, config: StageConfig, data: DataStack) -> None:
        super().__init__(scope, id, description="Wordsight: training")
        image = ContainerImage.train(self, config)
        role = self._execution_role(data)
        image.repository.grant_pull(role)
        job = create_training_job_state(
            self,
            config,
            image_uri=image.uri,
            role_arn=role.role_arn,
            models_s3_uri=data.artifacts.s3_url_for_object(MODELS_PREFIX),
            checkpoints_s3_uri=data.artifacts.s3_url_for_object(CHECKPOINTS_PREFIX),
        )
        machine = sfn.StateMachine(
            self,
            "StateMachine",
            definition_body=sfn.DefinitionBody.from_chainable(self._definition(job, data)),
            role=self._machine_role(config, role),
            tracing_enabled=True,
            logs=sfn.LogOptions(
                destination=log_group(self, "StateMachineLogs", config),
                level=sfn.LogLevel.ALL,
                include_execution_data=True,
            ),
        )
        # Deleting the machine waits for its executions, and their jobs still need what the role's policy grants.
        machine.node.add_dependency(role)
        CfnOutput(self, "StateMachineArn", value=machine.state_machine_arn)

    def _execution_role(self, data: DataStack) -> ExecutionRole:
        role = ExecutionRole(
            self, "ExecutionRole", log_group_name=LOG_GROUP_NAME, metric_namespace="/aws/sagemaker/TrainingJobs"
        )
        role.allow_read(data.data, *TRAINING_PREFIXES)
        role.allow_read(data.artifacts, CHECKPOINTS_PREFIX)
        role.allow_write(data.artifacts, MODELS_PREFIX, CHECKPOINTS_PREFIX)
        return role

    def _machine_role(self, config: StageConfig, execution_role: iam.IRole) -> iam.Role:
        """What `createTrainingJob.sync` needs: a raw state brings no permissions of its own.

        https://docs.aws.amazon.com/step-functions/latest/dg/connect-sagemaker.html
        """
        role = iam.Role(self, "StateMachineRole", assumed_by=iam.ServicePrincipal("states.amazonaws.com"))
        jobs = self.format_arn(service="sagemaker", resource="training-job", resource_name=f"{config.name}-*")
        rule = self.format_arn(
            service="events", resource="rule", resource_name="StepFunctionsGetEventsForSageMakerTrainingJobsRule"
        )
        for statement in (
            iam.PolicyStatement(
                actions=[
                    "sagemaker:CreateTrainingJob",
                    "sagemaker:DescribeTrainingJob",
                    "sagemaker:StopTrainingJob",
                    "sagemaker:AddTags",
                ],
                resources=[jobs],
            ),
            iam.PolicyStatement(actions=["sagemaker:ListTags"], resources=["*"]),
            iam.PolicyStatement(
                actions=["iam:PassRole"],
                resources=[execution_role.role_arn],
                conditions={"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}},
            ),
            iam.PolicyStatement(
                actions=["events:PutTargets", "events:PutRule", "events:DescribeRule"], resources=[rule]
            ),
        ):
            role.add_to_policy(statement)
        return role

    def _definition(self, job: sfn.CustomState, data: DataStack) -> sfn.IChainable:
        """Check the input, fill in what may be left out, train; whatever is not Completed fails with a sentence."""
        prefixes = [data.data.s3_url_for_object(prefix) for prefix in TRAINING_PREFIXES]
        has_dataset = sfn.Condition.and_(
            sfn.Condition.is_string("$.dataset_s3_uri"),
            sfn.Condition.or_(*(sfn.Condition.string_matches("$.dataset_s3_uri", f"{each}*") for each in prefixes)),
        )
        no_dataset = sfn.Fail(
            self,
            "NoDataset",
            error="Wordsight.NoDataset",
            cause=f"dataset_s3_uri is missing or not allowed: give an S3 prefix under {' or '.join(prefixes)}",
        )
        no_hyperparameters = sfn.Pass(
            self, "NoHyperparameters", result=sfn.Result.from_object({}), result_path="$.hyperparameters"
        )
        not_completed = self._explain_ending()
        job.add_catch(self._explain_failure(not_completed), errors=["States.ALL"], result_path="$.error")
        job.next(
            sfn.Choice(self, "IsCompleted")
            .when(sfn.Condition.string_equals("$.job.TrainingJobStatus", "Completed"), self._answer())
            .otherwise(not_completed)
        )
        return (
            sfn.Choice(self, "CheckInput")
            .when(sfn.Condition.not_(sfn.Condition.is_present("$.dataset_s3_uri")), no_dataset)
            .when(sfn.Condition.not_(has_dataset), no_dataset)
            .when(sfn.Condition.is_present("$.hyperparameters"), job)
            .otherwise(no_hyperparameters.next(job))
        )

    def _answer(self) -> sfn.IChainable:
        """The execution's output. SageMaker does not promise the slash that an endpoint needs after a folder."""

        def answer(id: str, artifact_s3_uri: str) -> sfn.Pass:
            members = {"training_job_name.$": "$.job.TrainingJobName", "artifact_s3_uri.$": artifact_s3_uri}
            return sfn.Pass(self, id, parameters=members)

        artifact = "$.job.ModelArtifacts.S3ModelArtifacts"
        return (
            sfn.Choice(self, "EndsWithSlash")
            .when(sfn.Condition.string_matches(artifact, "*/"), answer("Answer", artifact))
            .otherwise(answer("AnswerWithSlash", f"States.Format('{{}}/', {artifact})"))
        )

    def _explain_ending(self) -> sfn.Choice:
        """A job that failed says why; one that was stopped, or took longer than it may, says no more than that."""
        failed = sfn.Fail(
            self,
            "TrainingFailed",
            error="Wordsight.TrainingFailed",
            cause_path="States.Format('training job {} failed: {}', $.job.TrainingJobName, $.job.FailureReason)",
        )
        stopped = sfn.Fail(
            self,
            "TrainingStopped",
            error="Wordsight.TrainingStopped",
            cause_path=(
                "States.Format('training job {} ended as {} ({}), so it left no finished model: "
                "start another; raise max_run_s if the runtime was exceeded', "
                "$.job.TrainingJobName, $.job.TrainingJobStatus, $.job.SecondaryStatus)"
            ),
        )
        return (
            sfn.Choice(self, "HasReason")
            .when(sfn.Condition.is_present("$.job.FailureReason"), failed)
            .otherwise(stopped)
        )

    def _explain_failure(self, not_completed: sfn.Choice) -> sfn.IChainable:
        """The cause of a job that ran is its whole description as JSON, of one that was refused a sentence: show that.

        Whether a stopped job arrives here or as a result is not documented; either way `not_completed` reads it.
        """
        read_description = sfn.Pass(self, "ReadDescription", parameters={"job.$": "States.StringToJson($.error.Cause)"})
        refused = sfn.Fail(self, "TrainingNotRun", error_path="$.error.Error", cause_path="$.error.Cause")
        return (
            sfn.Choice(self, "IsDescription")
            .when(
                sfn.Condition.string_matches("$.error.Cause", '*"TrainingJobStatus":*'),
                read_description.next(not_completed),
            )
            .otherwise(refused)
        )
