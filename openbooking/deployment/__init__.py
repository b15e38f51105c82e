"""Puts the service on AWS: what stands there is read, what is missing is planned, the plan is done.

`templates` says what is wanted (from `infra/` and `.chalice/`), `observation` what is found,
`planner` compares the two as values and returns steps, `executor` takes the steps. `project`
assembles what Chalice is given, `packaging` makes the zip and the templates of it, `bytecode` compiles what is
in the zip, `deploy` and `rehearsal` run the whole way, on AWS and on an imitation of it.
"""
