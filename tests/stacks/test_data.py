from tests.stacks.conftest import Assembly, flat


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


def test_data_is_versioned_and_artifacts_are_not(assembly: Assembly) -> None:
    assert assembly.data.the("AWS::S3::Bucket", "Data")["VersioningConfiguration"] == {"Status": "Enabled"}
    assert "VersioningConfiguration" not in assembly.data.the("AWS::S3::Bucket", "Artifacts")


def test_nothing_unfinished_or_temporary_is_paid_for_long(assembly: Assembly) -> None:
    expiring = {}
    for id, bucket in assembly.data.of_type("AWS::S3::Bucket").items():
        rules = bucket["Properties"]["LifecycleConfiguration"]["Rules"]
        assert {"DaysAfterInitiation": 1} in [rule.get("AbortIncompleteMultipartUpload") for rule in rules], id
        expiring |= {rule["Prefix"]: rule["ExpirationInDays"] for rule in rules if "Prefix" in rule}
    assert expiring == {"uploads/": 1, "idempotency/": 1, "checkpoints/": 30}


def test_old_versions_go_after_a_month_and_those_of_what_is_kept_briefly_after_a_day(assembly: Assembly) -> None:
    rules = assembly.data.the("AWS::S3::Bucket", "Data")["LifecycleConfiguration"]["Rules"]
    days = {
        rule.get("Prefix"): rule["NoncurrentVersionExpiration"]["NoncurrentDays"]
        for rule in rules
        if "NoncurrentVersionExpiration" in rule
    }
    assert days == {None: 30, "uploads/": 1, "idempotency/": 1}


def test_browsers_reach_the_data_bucket_only_from_origins_that_are_configured(dev: Assembly, prod: Assembly) -> None:
    assert "CorsConfiguration" not in dev.data.the("AWS::S3::Bucket", "Data")
    (rule,) = prod.data.the("AWS::S3::Bucket", "Data")["CorsConfiguration"]["CorsRules"]
    assert rule["AllowedOrigins"] == ["https://one.example", "https://two.example"]
    assert "CorsConfiguration" not in prod.data.the("AWS::S3::Bucket", "Artifacts")


def test_scripts_find_the_buckets(dev: Assembly) -> None:
    assert {"DataBucketName", "ArtifactsBucketName"} <= dev.data.outputs.keys()


def test_data_may_be_kept_in_dev_and_dropped_in_prod(tuned: Assembly) -> None:
    assert {each["DeletionPolicy"] for each in tuned.data.of_type("AWS::S3::Bucket").values()} == {"Retain"}
