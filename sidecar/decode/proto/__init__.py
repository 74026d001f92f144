"""Protobuf messages: our own descriptions (``*.proto``) of public protocols, and what protoc made of them.

Only the fields that are read, under their public numbers; protobuf keeps others unread. Where it saves a
copy or a conversion, a field is declared as the ``bytes`` that it is on the wire (each .proto says where).
``make proto`` writes ``*_pb2.py`` and ``*_pb2.pyi`` anew; a test compares them.
"""
