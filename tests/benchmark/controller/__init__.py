"""What gc-tuner itself costs: time, memory and requests, by the number of workloads."""
