"""Accounts in which something is wrong, each by the cause that the doctor must name first.

The sentences are AWS's, as its users quote them: the threads are named where the wording could be otherwise.
"""

from collections.abc import Callable
from typing import Any

from tests.operate.account import (
    AFTER,
    ARTIFACTS_BUCKET,
    BATCHES,
    BEFORE,
    DATA_BUCKET,
    ENDPOINT_LOG,
    JOBS_LOG,
    NAMES,
    ROLE,
    TRAININGS,
    Account,
    Refused,
    machine,
)

GPU = {"endpoint_instance_type": "ml.g4dn.xlarge"}
PING = (
    "The primary container for production variant AllTraffic did not pass the ping health check. "
    "Please check CloudWatch logs for this endpoint."
)
# aws-samples/comfyui-on-amazon-sagemaker#2
CANNOT_START = (
    "CannotStartContainerError. Please ensure the model container for variant AllTraffic starts correctly when "
    "invoked with 'docker run <image> serve'"
)
# aws-samples/sagemaker-custom-project-templates#51
NO_QUOTA = (
    "The account-level service limit 'ml.g4dn.xlarge for endpoint usage' is 0 Instances, with current utilization of 0 "
    "Instances and a request delta of 1 Instances. Please contact AWS support to request an increase for this limit. "
    "(Service: AmazonSageMaker; Status Code: 400; Error Code: ResourceLimitExceeded; Request ID: dee8f280; Proxy: null)"
)
NO_CAPACITY = (
    "Unable to provision requested ML compute capacity due to InsufficientInstanceCapacity error. Please retry using a "
    "different ML instance type or after some time. Consider configuring InstancePools in your EndpointConfig with "
    "multiple instance types for priority-based fallback to improve capacity availability."
)
# aws/amazon-sagemaker-feedback#180
OCI = (
    "Unsupported manifest media type application/vnd.oci.image.manifest.v1+json for image "
    "123456789012.dkr.ecr.eu-west-1.amazonaws.com/cdk-hnb659fds-container-assets:1a2b. Ensure that valid manifest "
    "media type is used for specified image. (Service: SageMaker, Status Code: 400, Request ID: 1)"
)
# philschmid/llm-sagemaker-sample#2
NO_ACCESS = (
    'Could not access model data at s3://bucket/models/a/. Please ensure that the role "arn:aws:iam::1:role/R" exists '
    'and that its trust relationship policy allows the action "sts:AssumeRole" for the service principal '
    '"sagemaker.amazonaws.com". Also ensure that the role has "s3:GetObject" permissions and that the object is '
    "located in eu-west-1. If your Model uses multiple models or uncompressed models, please ensure that the role has "
    '"s3:ListBucket" permission.'
)
# aws-solutions/amazon-marketing-cloud-uploader-from-aws#167
LEFT_LOG_GROUP = (
    "Resource handler returned message: \"Resource of type 'AWS::Logs::LogGroup' with identifier "
    '\'{"/properties/LogGroupName":"/aws/vendedlogs/states/WordsightTraining-dev/StateMachine"}\' already exists." '
    "(RequestToken: 258db5a1-23c6-5e4b-4d23-7a469fc2de96, HandlerErrorCode: AlreadyExists)"
)
CUDA_MEMORY = (
    "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 14.58 GiB"
)

Case = tuple[str, Callable[[Account], Any], dict[str, Any]]
"""The cause, what is wrong, and the stage's knobs."""

CASES: dict[str, Case] = {}


def case(cause: str, **knobs: Any) -> Callable[[Callable[[Account], Any]], Callable[[Account], Any]]:
    def add(break_it: Callable[[Account], Any]) -> Callable[[Account], Any]:
        CASES[break_it.__name__] = (cause, break_it, knobs)
        return break_it

    return add


def fail(account: Account, reason: str, logical_id: str = "Endpoint", kind: str = "AWS::SageMaker::Endpoint") -> None:
    """A first deployment of the serving stack that failed with `reason` and was rolled back; the API came after it."""
    account.status["Serving"] = "ROLLBACK_COMPLETE"
    account.reasons["Serving"] = (
        f"The following resource(s) failed to create: [{logical_id}, Alarm]. Rollback requested by user."
    )
    account.events["Serving"] = [
        (logical_id, kind, "CREATE_IN_PROGRESS", ""),
        (logical_id, kind, "CREATE_FAILED", reason),
        ("Alarm", "AWS::CloudWatch::Alarm", "CREATE_FAILED", "Resource creation cancelled"),
        ("WordsightServing-dev", "AWS::CloudFormation::Stack", "ROLLBACK_IN_PROGRESS", account.reasons["Serving"]),
        (logical_id, kind, "DELETE_COMPLETE", ""),
    ]
    account.endpoint = None
    account.status.pop("Api", None)


def fail_update(account: Account, reason: str) -> None:
    """An update of the endpoint that was rolled back by CloudFormation."""
    account.status["Serving"] = "UPDATE_ROLLBACK_COMPLETE"
    account.events["Serving"] = [
        ("Endpoint", "AWS::SageMaker::Endpoint", "UPDATE_FAILED", reason),
        ("ServerFaults1DDB", "AWS::CloudWatch::Alarm", "UPDATE_FAILED", "Resource update cancelled"),
        ("WordsightServing-dev", "AWS::CloudFormation::Stack", "UPDATE_ROLLBACK_IN_PROGRESS", "…"),
    ]


@case("credentials")
def expired_token(account: Account) -> None:
    account.refusals["get_caller_identity"] = Refused(
        "ExpiredToken", "The security token included in the request is expired"
    )


@case("credentials")
def unknown_key(account: Account) -> None:
    account.refusals["get_caller_identity"] = Refused(
        "InvalidClientTokenId", "The security token included in the request is invalid."
    )


@case("denied")
def a_user_who_may_not_look(account: Account) -> None:
    for operation in ("describe_stacks", "get_parameter", "list_stack_resources", "describe_endpoint"):
        account.refusals[operation] = Refused(
            "AccessDeniedException",
            "User: arn:aws:sts::123456789012:assumed-role/AWSReservedSSO_Billing_1a2b/me is not authorized to perform: "
            f"{operation} on resource: * because no identity-based policy allows the action",
        )


@case("denied")
def an_scp_in_the_way(account: Account) -> None:
    fail(
        account,
        'Resource handler returned message: "User: arn:aws:sts::123456789012:assumed-role/cdk-hnb659fds-cfn-exec-role-'
        "123456789012-eu-west-1/AWSCloudFormation is not authorized to perform: sagemaker:CreateEndpointConfig on "
        "resource: arn:aws:sagemaker:eu-west-1:123456789012:endpoint-config/e with an explicit deny in a service "
        'control policy" (RequestToken: 1, HandlerErrorCode: AccessDenied)',
        "EndpointConfig",
        "AWS::SageMaker::EndpointConfig",
    )


@case("bootstrap")
def no_bootstrap(account: Account) -> None:
    account.is_bootstrapped = False
    account.status.clear()
    account.endpoint = None


@case("missing")
def nothing_deployed_where_the_shell_points(account: Account) -> None:
    account.status.clear()
    account.endpoint = None


@case("missing")
def nothing_deployed_but_an_old_log(account: Account) -> None:
    account.status.clear()
    account.endpoint = None
    account.streams[ENDPOINT_LOG] = [("AllTraffic/i-0", BEFORE, [CUDA_MEMORY])]


@case("quota", **GPU)
def no_quota(account: Account) -> None:
    fail(account, NO_QUOTA)


@case("quota")
def no_training_quota(account: Account) -> None:
    cause = NO_QUOTA.replace("endpoint usage", "training job usage")
    account.executions[TRAININGS] = [("a", "FAILED", "SageMaker.AmazonSageMakerException", cause)]


@case("quota", **GPU)
def no_quota_and_the_old_fleet_says_memory_error(account: Account) -> None:
    """Near miss: the old fleet goes on logging while the update fails."""
    fail_update(account, NO_QUOTA)
    account.streams[ENDPOINT_LOG] = [("AllTraffic/i-0", BEFORE, ["MemoryError", "Killed"])]


@case("capacity", **GPU)
def no_capacity(account: Account) -> None:
    fail(account, NO_CAPACITY)


@case("capacity", spot=True)
def no_capacity_for_training(account: Account) -> None:
    account.jobs = [
        (
            "wordsight-dev-a",
            "Failed",
            "CapacityError: Unable to provision requested ML compute capacity. Please retry using a different ML "
            "instance type.",
        )
    ]


@case("driver", **GPU)
def a_gpu_that_cannot_start_and_says_nothing(account: Account) -> None:
    fail(account, CANNOT_START)


@case("driver", **GPU)
def the_old_driver_while_the_old_fleet_logs(account: Account) -> None:
    fail_update(account, CANNOT_START)
    account.streams[ENDPOINT_LOG] = [("AllTraffic/i-0", BEFORE, ["answered in 20 ms"])]


@case("driver", **GPU)
def a_driver_that_torch_finds_too_old(account: Account) -> None:
    fail(account, PING)
    warning = "UserWarning: CUDA initialization: The NVIDIA driver on your system is too old (found version 11040)."
    account.streams[ENDPOINT_LOG] = [("AllTraffic/i-1", AFTER, ["loading", warning, "ping answers 503"])]


@case("ping")
def a_cpu_that_cannot_start_and_says_nothing(account: Account) -> None:
    """Near miss: there is no driver to blame."""
    fail(account, CANNOT_START)


@case("ping", **GPU)
def a_gpu_that_cannot_start_and_says_why(account: Account) -> None:
    """Near miss: it has started, so the driver let it."""
    fail(account, CANNOT_START)
    lines = ["Traceback (most recent call last):", "ModuleNotFoundError: No module named 'model.resources'"]
    account.streams[ENDPOINT_LOG] = [("AllTraffic/i-1", AFTER, lines)]


@case("ping")
def an_unhealthy_container(account: Account) -> None:
    fail(account, PING)
    account.streams[ENDPOINT_LOG] = [("AllTraffic/i-1", AFTER, [f"line {number}" for number in range(30)])]


@case("ping")
def an_unhealthy_container_beside_a_training_out_of_memory(account: Account) -> None:
    """Near miss: the memory is the training's."""
    fail(account, PING)
    account.streams[ENDPOINT_LOG] = [("AllTraffic/i-1", AFTER, ["config.json: no such file"])]
    account.jobs = [("wordsight-dev-a", "Failed", f"AlgorithmError: {CUDA_MEMORY}, exit code: 1")]
    account.streams[JOBS_LOG] = [("wordsight-dev-a/algo-1", AFTER, [CUDA_MEMORY])]


@case("ping")
def an_unhealthy_container_after_one_out_of_memory(account: Account) -> None:
    """Near miss: what an earlier deployment logged."""
    fail(account, PING)
    account.streams[ENDPOINT_LOG] = [("AllTraffic/i-0", BEFORE, [CUDA_MEMORY])]


@case("oci-manifest")
def an_oci_manifest(account: Account) -> None:
    fail(account, f'Resource handler returned message: "{OCI}"', "Model", "AWS::SageMaker::Model")


@case("arm64")
def an_arm64_image(account: Account) -> None:
    # aws-samples/aws-lex-conv-faq#8
    fail(account, PING)
    account.streams[ENDPOINT_LOG] = [("AllTraffic/i-1", AFTER, ["exec /usr/local/bin/serve: exec format error"])]


@case("policy-race")
def a_policy_that_came_late(account: Account) -> None:
    fail(account, f'Resource handler returned message: "{NO_ACCESS}"', "Model", "AWS::SageMaker::Model")


@case("policy-race")
def a_role_that_cannot_be_taken(account: Account) -> None:
    fail(
        account,
        'Resource handler returned message: "User: arn:aws:sts::123456789012:assumed-role/R is not authorized to '
        'perform: sts:AssumeRole on resource: arn:aws:iam::123456789012:role/R"',
        "Model",
        "AWS::SageMaker::Model",
    )


@case("model-data")
def no_model_data(account: Account) -> None:
    fail_update(account, "Could not find model data at s3://bucket/models/nothing/.")


@case("oom")
def an_endpoint_out_of_memory(account: Account) -> None:
    fail(account, PING)
    account.streams[ENDPOINT_LOG] = [("AllTraffic/i-1", AFTER, ["loading", "Killed"])]


@case("oom", **GPU)
def a_gpu_out_of_memory(account: Account) -> None:
    fail(account, PING)
    account.streams[ENDPOINT_LOG] = [("AllTraffic/i-1", AFTER, ["loading", CUDA_MEMORY, "exiting"])]


@case("oom")
def an_endpoint_that_failed_later(account: Account) -> None:
    account.endpoint = {
        "EndpointStatus": "Failed",
        "EndpointConfigName": "EndpointConfig-AbC123",
        "FailureReason": PING,
    }
    account.streams[ENDPOINT_LOG] = [("AllTraffic/i-1", AFTER, ["worker exited with code 137"])]


@case("training-oom")
def a_training_out_of_memory(account: Account) -> None:
    account.jobs = [("wordsight-dev-a", "Failed", "AlgorithmError: , exit code: 1")]
    account.streams[JOBS_LOG] = [("wordsight-dev-a/algo-1", AFTER, ["step 1", CUDA_MEMORY])]


@case("training-failed")
def a_training_without_a_dataset(account: Account) -> None:
    account.executions[TRAININGS] = [("a", "FAILED", "Wordsight.NoDataset", "dataset_s3_uri is missing")]


@case("training-failed")
def a_training_that_failed_beside_anothers_memory(account: Account) -> None:
    """Near miss: the other job is of stage dev2's."""
    account.jobs = [
        ("my-wordsight-dev-b", "Failed", CUDA_MEMORY),
        ("wordsight-dev-a", "Failed", "AlgorithmError: the manifest has no line"),
    ]
    account.streams[JOBS_LOG] = [("wordsight-dev2-a/algo-1", AFTER, [CUDA_MEMORY])]


@case("execution-failed")
def a_batch_that_failed(account: Account) -> None:
    account.executions[BATCHES] = [("b", "RUNNING", "", ""), ("a", "TIMED_OUT", "", ""), ("0", "SUCCEEDED", "", "")]


@case("rollback-failed", **GPU)
def an_update_that_could_not_go_back(account: Account) -> None:
    account.status["Serving"] = "UPDATE_ROLLBACK_FAILED"
    account.reasons["Serving"] = "The following resource(s) failed to update: [Endpoint]. "
    account.events["Serving"] = [
        ("Endpoint", "AWS::SageMaker::Endpoint", "UPDATE_FAILED", NO_CAPACITY),
        ("WordsightServing-dev", "AWS::CloudFormation::Stack", "UPDATE_ROLLBACK_IN_PROGRESS", "…"),
        ("Endpoint", "AWS::SageMaker::Endpoint", "UPDATE_FAILED", "Cannot update in-progress endpoint"),
    ]


@case("delete-failed")
def a_bucket_that_is_not_empty(account: Account) -> None:
    account.status["Data"] = "DELETE_FAILED"
    reason = "The bucket you tried to delete is not empty (Service: S3, Status Code: 409)"
    account.events["Data"] = [("Data7E2128CA", "AWS::S3::Bucket", "DELETE_FAILED", reason)]


@case("silent-rollback")
def another_configuration(account: Account) -> None:
    """hashicorp/terraform-provider-aws#48997."""
    account.endpoint = {
        "EndpointStatus": "InService",
        "EndpointConfigName": "EndpointConfig-old",
        "FailureReason": PING,
    }
    account.streams[ENDPOINT_LOG] = [("AllTraffic/i-1", AFTER, [CUDA_MEMORY])]


@case("log-group")
def an_orphaned_log_group(account: Account) -> None:
    account.status["Training"] = "UPDATE_ROLLBACK_COMPLETE"
    account.events["Training"] = [("Logs", "AWS::Logs::LogGroup", "CREATE_FAILED", LEFT_LOG_GROUP)]


@case("log-group")
def an_orphaned_log_group_of_another_stack(account: Account) -> None:
    # serverless/serverless#3237
    reason = "/aws/lambda/WordsightApi-dev-x already exists in stack arn:aws:cloudformation:eu-west-1:1:stack/other/1"
    account.status["Api"] = "ROLLBACK_COMPLETE"
    account.events["Api"] = [("Logs", "AWS::Logs::LogGroup", "CREATE_FAILED", reason)]


@case("unknown")
def another_thing_that_exists_already(account: Account) -> None:
    """Near miss: no log group."""
    account.status["Data"] = "ROLLBACK_COMPLETE"
    account.events["Data"] = [("Data7E2128CA", "AWS::S3::Bucket", "CREATE_FAILED", "wordsightdata already exists")]


@case("api-logs-role")
def no_role_for_the_apis_logs(account: Account) -> None:
    account.status["Api"] = "ROLLBACK_COMPLETE"
    reason = "CloudWatch Logs role ARN must be set in account settings to enable logging (Service: ApiGateway)"
    account.events["Api"] = [("Stage", "AWS::ApiGateway::Stage", "CREATE_FAILED", reason)]


@case("stale")
def a_function_with_an_old_bucket(account: Account) -> None:
    account.variables["DATA_BUCKET"] = "wordsightdata-dev-data7e2128ca-gone"


@case("stale")
def a_function_with_an_old_machine(account: Account) -> None:
    account.variables["TRAINING_MACHINE_ARN"] = machine("StateMachine-gone")


@case("stale")
def a_role_with_an_old_bucket(account: Account) -> None:
    account.granted.append("arn:aws:s3:::wordsightdata-dev-data7e2128ca-gone/tasks/*")


@case("stale")
def a_bucket_deleted_by_hand(account: Account) -> None:
    account.buckets.discard(DATA_BUCKET)
    account.executions[BATCHES] = [("a", "FAILED", "NoSuchBucket", "The specified bucket does not exist")]


@case("stale")
def an_endpoint_deleted_by_hand(account: Account) -> None:
    account.endpoint = None


@case("alarm")
def an_alarm(account: Account) -> None:
    account.alarms["WordsightServing-dev-ServerFaults-5c6d"] = (
        "Threshold Crossed: 1 datapoint [9.0] was greater than 3.0"
    )


@case("ping")
def an_alarm_after_an_endpoint_that_failed(account: Account) -> None:
    an_alarm(account)
    account.endpoint = {
        "EndpointStatus": "Failed",
        "EndpointConfigName": "EndpointConfig-AbC123",
        "FailureReason": PING,
    }


@case("in-progress")
def a_deployment_that_is_running(account: Account) -> None:
    account.status["Serving"] = "UPDATE_IN_PROGRESS"
    account.endpoint = {"EndpointStatus": "Updating", "EndpointConfigName": "EndpointConfig-AbC123"}


@case("quota")
def a_failure_beside_a_deployment_that_is_running(account: Account) -> None:
    fail(account, NO_QUOTA)
    account.status["Training"] = "UPDATE_IN_PROGRESS"


@case("unknown")
def a_failure_in_words_that_nobody_knows(account: Account) -> None:
    fail(account, "Something that nobody has documented happened", "Model", "AWS::SageMaker::Model")
    account.streams[ENDPOINT_LOG] = [("AllTraffic/i-1", AFTER, [CUDA_MEMORY])]


HEALTHY: dict[str, Callable[[Account], Any]] = {}


def healthy(leave_it: Callable[[Account], Any]) -> Callable[[Account], Any]:
    HEALTHY[leave_it.__name__] = leave_it
    return leave_it


@healthy
def untouched(account: Account) -> None:
    assert set(account.status) == set(NAMES)


@healthy
def a_pause(account: Account) -> None:
    account.paused, account.endpoint = True, None


@healthy
def failures_that_are_over(account: Account) -> None:
    """A deployment, a training and a log of yesterday's, and jobs of others."""
    account.earlier["Serving"] = [("Endpoint", "AWS::SageMaker::Endpoint", "UPDATE_FAILED", NO_QUOTA)]
    account.executions[TRAININGS] = [
        ("c", "RUNNING", "", ""),
        ("b", "SUCCEEDED", "", ""),
        ("a", "FAILED", "Wordsight.TrainingFailed", CUDA_MEMORY),
    ]
    account.executions[BATCHES] = [("a", "ABORTED", "", "")]
    account.jobs = [
        ("my-wordsight-dev-x", "Failed", CUDA_MEMORY),
        ("wordsight-dev-b", "Completed", ""),
        ("wordsight-dev-a", "Failed", CUDA_MEMORY),
    ]
    account.streams[ENDPOINT_LOG] = [("AllTraffic/i-1", AFTER, [CUDA_MEMORY, "exec format error"])]


@healthy
def policies_that_name_what_is_cdks(account: Account) -> None:
    account.granted += [
        "arn:aws:s3:::cdk-hnb659fds-assets-123456789012-eu-west-1/*",
        f"arn:aws:s3:::{ARTIFACTS_BUCKET}",
    ]
    assert ROLE


def fail_function(account: Account, reason: str) -> None:
    """A first deployment without instances that failed at the function."""
    account.endpoint, account.by_function = None, True
    fail(account, reason, "Function", "AWS::Lambda::Function")


@case("function-memory", serving="lambda")
def a_new_account_with_little_memory(account: Account) -> None:
    fail_function(
        account,
        "Resource handler returned message: \"'MemorySize' value failed to satisfy constraint: Member must have value "
        'less than or equal to 3008 (Service: Lambda, Status Code: 400, Request ID: 1)"',
    )


@case("function-concurrency", serving="lambda", function_concurrency=5)
def nothing_to_keep_aside(account: Account) -> None:
    fail_function(
        account,
        "Resource handler returned message: \"Specified ReservedConcurrentExecutions for function decreases account's "
        'UnreservedConcurrentExecution below its minimum value of [100]. (Service: Lambda, Status Code: 400)"',
    )


@case("function-image", serving="lambda")
def a_repository_that_lambda_may_not_read(account: Account) -> None:
    fail_function(
        account,
        'Resource handler returned message: "Lambda does not have permission to access the ECR image. Check the ECR '
        'permissions. (Service: Lambda, Status Code: 403, Request ID: 1)"',
    )
