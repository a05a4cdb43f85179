"""Messages, the durable log, the device fold and the engines that run it."""
