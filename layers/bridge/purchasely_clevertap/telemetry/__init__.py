"""What people see of the functions: log lines and metrics."""
