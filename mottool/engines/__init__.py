"""Run jobs in this process or in several: `concurrent.futures` executors for stages."""
