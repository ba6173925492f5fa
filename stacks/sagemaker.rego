package wordsight.sagemaker

import rego.v1

# What SageMaker refuses, or accepts and then can't run, although each property by itself is as the schema allows. Ranges
# of single properties, such as the timeouts of containers, are among the library's own rules. A value that is not known
# before a deployment is not judged.

endpoint_configs := resources_of_type("AWS::SageMaker::EndpointConfig")

endpoints := resources_of_type("AWS::SageMaker::Endpoint")

properties(name) := object.get(input.resources[name], "properties", {})

variants(name) := object.get(properties(name), "ProductionVariants", [])

variant_path(index, member) := sprintf("Properties.ProductionVariants.%d.%s", [index, member])

is_gpu(instance_type) if regex.match(`^ml\.[gp][0-9]`, instance_type)

# https://docs.aws.amazon.com/sagemaker/latest/dg/inference-gpu-drivers.html
violation contains made if {
	some name in endpoint_configs
	some index, variant in variants(name)
	is_gpu(variant.InstanceType)
	not variant.InferenceAmiVersion
	made := make_diag_at(
		"Wordsight-GpuDriver", "ERROR", name, variant_path(index, "InferenceAmiVersion"),
		sprintf("InferenceAmiVersion is missing for %s, which SageMaker then starts with a driver too old for any current torch: set it to al2023-ami-sagemaker-inference-gpu-4-1", [variant.InstanceType]),
	)
}

violation contains made if {
	some name in endpoint_configs
	some index, variant in variants(name)
	is_gpu(variant.InstanceType)
	ami := variant.InferenceAmiVersion
	is_string(ami)
	not startswith(ami, "al2023-ami-sagemaker-inference-gpu-4")
	is_built_here(variant.ModelName)
	made := make_diag_at(
		"Wordsight-GpuDriverOfImage", "ERROR", name, variant_path(index, "InferenceAmiVersion"),
		sprintf("InferenceAmiVersion is %s, whose driver can't run the CUDA 13 of the image that this repository builds: set it to al2023-ami-sagemaker-inference-gpu-4-1, or give serve_image_uri an image with an older CUDA", [ami]),
	)
}

# Of a model of this template whose image is one of the bootstrap's assets.
is_built_here(model) if {
	container := object.get(properties(model.__ref), "PrimaryContainer", {})
	contains(sprintf("%v", [container.Image]), "-container-assets-")
}

violation contains made if {
	some name in endpoint_configs
	some index, variant in variants(name)
	is_string(variant.InstanceType)
	not is_gpu(variant.InstanceType)
	variant.InferenceAmiVersion
	made := make_diag_at(
		"Wordsight-DriverWithoutGpu", "ERROR", name, variant_path(index, "InferenceAmiVersion"),
		sprintf("InferenceAmiVersion is %s, but %s has no GPU: leave it out", [variant.InferenceAmiVersion, variant.InstanceType]),
	)
}

# https://docs.aws.amazon.com/sagemaker/latest/dg/deployment-guardrails-blue-green.html
violation contains made if {
	some name in endpoints
	type := routing(name).Type
	type in {"CANARY", "LINEAR"}
	some variant in variants(properties(name).EndpointConfigName.__ref)
	variant.InitialInstanceCount < 2
	made := make_diag_at(
		"Wordsight-TrafficOfOneInstance", "ERROR", name, sprintf("%s.TrafficRoutingConfiguration.Type", [update_path]),
		sprintf("TrafficRoutingConfiguration's Type is %s, but the fleet has %d instance, which can't be divided: use ALL_AT_ONCE, or 2 instances and more", [type, variant.InitialInstanceCount]),
	)
}

# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_TrafficRoutingConfig.html
violation contains made if {
	some name in endpoints
	type := routing(name).Type
	not is_number(object.get(routing(name), "WaitIntervalInSeconds", null))
	made := make_diag_at(
		"Wordsight-NoWaitInterval", "ERROR", name,
		sprintf("%s.TrafficRoutingConfiguration.WaitIntervalInSeconds", [update_path]),
		sprintf("WaitIntervalInSeconds is missing beside the Type %s: SageMaker asks for it, and it is how long the alarms watch; give 0 to 3600", [type]),
	)
}

# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_BlueGreenUpdatePolicy.html
violation contains made if {
	some name in endpoints
	policy := update_policy(name)
	waits_s := (routing(name).WaitIntervalInSeconds + object.get(policy, "TerminationWaitInSeconds", 0)) + startup_s(name)
	most_s := policy.MaximumExecutionTimeoutInSeconds
	most_s <= waits_s
	made := make_diag_at(
		"Wordsight-UpdateTimeout", "ERROR", name, sprintf("%s.MaximumExecutionTimeoutInSeconds", [update_path]),
		sprintf("MaximumExecutionTimeoutInSeconds is %d, allowed: more than the %d that downloading the model, starting, WaitIntervalInSeconds and TerminationWaitInSeconds may take together, or an update times out before /ping may", [most_s, waits_s]),
	)
}

# What the slowest variant of an endpoint may take until /ping answers.
startup_s(name) := slowest if {
	config := properties(name).EndpointConfigName.__ref
	slowest := max([seconds |
		some variant in variants(config)
		seconds := object.get(variant, "ModelDataDownloadTimeoutInSeconds", 0) + object.get(variant, "ContainerStartupHealthCheckTimeoutInSeconds", 0)
	])
} else := 0

update_path := "Properties.DeploymentConfig.BlueGreenUpdatePolicy"

update_policy(name) := object.get(object.get(properties(name), "DeploymentConfig", {}), "BlueGreenUpdatePolicy", {})

routing(name) := object.get(update_policy(name), "TrafficRoutingConfiguration", {})

# A name that no variant has makes an alarm that never rings, and a scalable target that can't be registered.
violation contains made if {
	some name in resources_of_type("AWS::CloudWatch::Alarm")
	properties(name).Namespace in {"AWS/SageMaker", "/aws/sagemaker/Endpoints"}
	some dimension in properties(name).Dimensions
	dimension.Name == "VariantName"
	is_foreign_variant(dimension.Value)
	made := make_diag_at(
		"Wordsight-AlarmOfNoVariant", "ERROR", name, "Properties.Dimensions",
		sprintf("the alarm watches the variant %s, which no endpoint configuration here has: use one name for alarms, autoscaling and the variant (%s)", [dimension.Value, known_variants]),
	)
}

violation contains made if {
	some name in resources_of_type("AWS::ApplicationAutoScaling::ScalableTarget")
	properties(name).ServiceNamespace == "sagemaker"
	parts := split(properties(name).ResourceId, "/variant/")
	is_foreign_variant(parts[1])
	made := make_diag_at(
		"Wordsight-ScalingOfNoVariant", "ERROR", name, "Properties.ResourceId",
		sprintf("autoscaling is for the variant %s, which no endpoint configuration here has: use one name for alarms, autoscaling and the variant (%s)", [parts[1], known_variants]),
	)
}

variant_names contains variant.VariantName if {
	some name in endpoint_configs
	some variant in variants(name)
}

known_variants := concat(", ", variant_names)

is_foreign_variant(named) if {
	is_string(named)
	count(variant_names) > 0
	not named in variant_names
}

# CloudFormation makes the new resource before the old one goes, and both can't have the name. Every change of these
# replaces them: https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-sagemaker-model.html
violation contains made if {
	some type, member in {"AWS::SageMaker::Model": "ModelName", "AWS::SageMaker::EndpointConfig": "EndpointConfigName"}
	some name in resources_of_type(type)
	given := properties(name)[member]
	made := make_diag_at(
		"Wordsight-FixedName", "ERROR", name, sprintf("Properties.%s", [member]),
		sprintf("%s is %v: every change replaces the resource, and the next deployment would find the name taken; leave it to CloudFormation", [member, given]),
	)
}

# https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-sagemaker-endpointconfig.html
violation contains made if {
	some name in endpoint_configs
	properties(name).KmsKeyId
	some variant in variants(name)
	regex.match(`^ml\.(g[4-9]|p[4-9]|[a-z]+[0-9]+[a-z]*d[a-z]*\.)`, variant.InstanceType)
	made := make_diag_at(
		"Wordsight-KeyOfLocalDisk", "ERROR", name, "Properties.KmsKeyId",
		sprintf("KmsKeyId is set, but %s has a disk of its own, which SageMaker encrypts by itself and with no other key: leave it out", [variant.InstanceType]),
	)
}

# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_S3ModelDataSource.html
violation contains made if {
	some name in resources_of_type("AWS::SageMaker::Model")
	source := resolve(name, "Properties.PrimaryContainer.ModelDataSource.S3DataSource")
	source.S3DataType == "S3Prefix"
	is_string(source.S3Uri)
	not endswith(source.S3Uri, "/")
	made := make_diag_at(
		"Wordsight-ModelFolder", "ERROR", name, "Properties.PrimaryContainer.ModelDataSource.S3DataSource.S3Uri",
		sprintf("S3Uri is %s, allowed: the prefix of a folder, which ends with a slash", [source.S3Uri]),
	)
}
