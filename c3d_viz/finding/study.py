from dataclasses import dataclass


@dataclass
class Result: ...
