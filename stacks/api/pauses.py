"""Pausing the endpoint and bringing it back: the state machine, and the schedules that start it.

It stands beside the machines that it has to wait for. An execution is given {"action", "by", "at"} and is the change
that is called like it.
"""

from aws_cdk import Duration, Fn
from aws_cdk import aws_scheduler as scheduler
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from contract.endpoint import LATER_S, LIMIT_S, Action, AskedBy, EndpointAsked
from contract.steps import TeachEvent
from stacks.config import IDLE_LOOK_MIN, StageConfig
from stacks.machine import MAX_ATTEMPTS, Machine, call, catch, machine_role, read_fault
from stacks.office_hours import OfficeHours
from stacks.permissions import Role
from stacks.training.rollout import POLL_S, TEACH_RETRIES
from stacks.training.stack import TrainingStack

MAX_LATE_S = 3600
"""A schedule whose execution could not be started is not made up for on another day."""


def pause_machine(
    stack: Construct, config: StageConfig, training: TrainingStack, batches: Machine, imports: Machine
) -> Machine:
    """Begin → see that nothing runs that needs the endpoint → update → wait and check until it is over; a resume is
    verified then, and tasks are taught what has changed meanwhile. What has to wait begins again later.

    The machine's own role may list what runs; the function is that of promotions, with its permissions.
    """
    scope = Construct(stack, "Pauses")
    role = machine_role(scope, "Machine")

    def step(id: str, step: str, *, reason: str = "", caught: sfn.IChainable | None = None) -> sfn.CustomState:
        given = {"change.$": "$$.Execution.Name", "asked.$": "$.asked"}
        event = {"step": step, **({"reason.$": reason} if reason else {}), **given}
        return call(scope, id, training.rollout, event, "$.outcome", caught=caught)

    def next_is(step: str) -> sfn.Condition:
        return sfn.Condition.string_equals("$.outcome.next", step)

    failed = sfn.Fail(scope, "Failed", error="Wordsight.NotChanged", cause_path="$.outcome.reason")
    # A step that could not be taken: the change's document has to say so.
    reported = read_fault(
        scope,
        step("ReportFault", "report", reason="$.fault.raised.errorMessage").next(failed),
        step("ReportError", "report", reason="$.error.Cause").next(failed),
    )
    over = sfn.Succeed(scope, "Over")
    asked = sfn.Pass(scope, "Asked", parameters={"asked.$": "$"})
    begin, update, check, verify = (
        step(name.capitalize(), name, caught=reported) for name in ("begin", "update", "check", "verify")
    )
    # Whether they can be taught or not, the version is back; what they lack is made up for with the next change.
    every = TeachEvent().model_dump()
    teach = call(scope, "Teach", training.teacher, every, "$.taught", caught=over, retries_of_any_failure=TEACH_RETRIES)
    later = sfn.Wait(scope, "Later", time=sfn.WaitTime.duration(Duration.seconds(LATER_S)))
    wait = sfn.Wait(scope, "WaitForStack", time=sfn.WaitTime.duration(Duration.seconds(POLL_S)))
    decide = sfn.Choice(scope, "WhatNext")
    look: sfn.IChainable = update
    for noun, machine in (("import", imports), ("batch", batches), ("promotion", training.promotion_machine)):
        name = noun.capitalize()
        listing = _list_running(scope, f"List{name}", machine, role, caught=reported)
        reason = f"States.Format('the {noun} {{}}', $.running.Executions[0].Name)"
        busy = step(f"Busy{name}", "busy", reason=reason, caught=reported)
        listing.next(
            sfn.Choice(scope, f"Runs{name}")
            .when(sfn.Condition.is_present("$.running.Executions[0]"), busy.next(decide))
            .otherwise(look)
        )
        look = listing
    (
        decide.when(next_is("look"), look)
        .when(next_is("later"), later.next(begin))
        .when(next_is("update"), update)
        .when(next_is("wait"), wait.next(check))
        .when(next_is("verify"), verify)
        .when(next_is("resumed"), teach.next(over))
        .when(next_is("over"), over)
        .otherwise(failed)
    )
    for task in (begin, update, check, verify):
        task.next(decide)
    functions = [training.rollout, training.teacher]
    start = asked.next(begin)
    machine = Machine(scope, "Machine", config=config, start=start, functions=functions, role=role, timeout_s=LIMIT_S)
    _schedules(scope, config, machine)
    return machine


def _schedules(scope: Construct, config: StageConfig, machine: Machine) -> None:
    """Outside of office hours there is no endpoint, and none that nobody uses. The role may start the machine."""
    hours = OfficeHours.read(config.office_hours)
    wanted: list[tuple[str, Action, AskedBy, str]] = []
    if hours:
        # A person's resume at a week-end lasts until the evening, too.
        wanted.append(("Closing", "pause", "schedule", f"cron({hours.ends.minute} {hours.ends.hour} * * ? *)"))
        days = ",".join(day.upper() for day in hours.days)
        opening = f"cron({hours.begins.minute} {hours.begins.hour} ? * {days} *)"
        wanted.append(("Opening", "resume", "schedule", opening))
    if config.pause_after_idle_min:
        wanted.append(("Idle", "pause", "idle", f"rate({IDLE_LOOK_MIN} minutes)"))
    if not wanted:
        return
    role = Role(scope, "ScheduleRole", service="scheduler")
    role.allow(["states:StartExecution"], machine.state_machine_arn)
    for id, action, by, expression in wanted:
        asked = EndpointAsked(action=action, by=by, at="<aws.scheduler.scheduled-time>")
        properties = scheduler.CfnSchedule
        schedule = scheduler.CfnSchedule(
            scope,
            id,
            description=f"{config.name}: {action}, {by}",
            flexible_time_window=properties.FlexibleTimeWindowProperty(mode="OFF"),
            schedule_expression=expression,
            schedule_expression_timezone=hours.timezone if hours else None,
            target=properties.TargetProperty(
                arn=machine.state_machine_arn,
                role_arn=role.role_arn,
                input=asked.model_dump_json(),
                retry_policy=properties.RetryPolicyProperty(maximum_event_age_in_seconds=MAX_LATE_S),
            ),
        )
        schedule.node.add_dependency(role)


def _list_running(
    scope: Construct, id: str, machine: Machine, role: Role, *, caught: sfn.IChainable
) -> sfn.CustomState:
    """Put at most one execution that is at work to `$.running.Executions`.

    https://docs.aws.amazon.com/step-functions/latest/dg/supported-services-awssdk.html
    """
    role.allow(["states:ListExecutions"], machine.state_machine_arn)
    tried_again = {"ErrorEquals": ["States.ALL"], "IntervalSeconds": 2, "MaxAttempts": MAX_ATTEMPTS, "BackoffRate": 2}
    state = {
        "Type": "Task",
        "Resource": Fn.sub("arn:${AWS::Partition}:states:::aws-sdk:sfn:listExecutions"),
        "Parameters": {"StateMachineArn": machine.state_machine_arn, "StatusFilter": "RUNNING", "MaxResults": 1},
        "ResultPath": "$.running",
        "Retry": [tried_again],
    }
    task = sfn.CustomState(scope, id, state_json=state)
    catch(task, caught)
    return task
