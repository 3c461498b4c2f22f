"""The gateway: requests in, typed answers out, over engines that a builder certified."""
