"""Run tasks in this process, in local processes, or in a Dask cluster."""
