"""The same app on one machine: an AWS emulator, the real CDK deployment, the real programs, no account."""
