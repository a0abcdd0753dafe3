"""What happens inside a worker: attempts, deadlines, isolated processes."""
