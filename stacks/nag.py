from aws_cdk import App


def check_with_cdk_nag(app: App) -> None: ...
