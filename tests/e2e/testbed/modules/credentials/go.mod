module gctuner.test/testbed/credentials

go 1.26.0
