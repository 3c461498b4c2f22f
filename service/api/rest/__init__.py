"""HTTP: routes, body forms, problem documents."""
