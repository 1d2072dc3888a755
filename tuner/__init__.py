"""gc-tuner: closed-loop tuning of the Go garbage collector on Kubernetes."""
