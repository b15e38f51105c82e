"""Deploys the service to AWS: reads the current state, plans what is missing, executes the plan.

`infra.templates` returns the wanted state, `observation` the current one. `planner` compares the two as
values and returns steps, `executor` executes them. `project` assembles the files for Chalice, `packaging`
makes the zip and the templates, `bytecode` compiles the modules in the zip, `deploy` and `rehearsal` run
everything, on AWS and on a simulated AWS.
"""
