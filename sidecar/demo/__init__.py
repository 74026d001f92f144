"""The demonstration: a real model server, wrapped; real flights, replayed; a fault, found.

The flow, one file a step: `environment` (Python environments of the servers) → `train` (data, model) →
`servers` (MLServer, Triton) → `traffic` (replay) → `report` (what the sidecar found) → `cli` (all of it).
Nothing here is imported by the sidecar itself.
"""
