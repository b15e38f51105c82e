"""Deploys the service to AWS: reads the current state, plans what is missing, executes the plan.

`infra.templates` returns the wanted state, `observation` the current one. `planner` compares the two as
values and returns steps, `executor` executes them. `stage_state` is what is set beside Chalice's resources, and
finds what others have changed; `releases` is what a team remembers of a stage. `project` assembles the files for Chalice, `packaging`
makes the zip and the templates, `bytecode` compiles the modules in the zip, `pipeline` changes the template for gradual
deployments. `stacks` are the stacks that options add, `front` what is in front of the functions, `place` the account of a stage. `deploy` and `removal` are the commands, `outcome` is
their result, `smoke` asks a deployed API a few questions, `comparison` reads
everything back, `rehearsal` runs all of it on a simulated AWS.
"""
