"""Do the gradients of ours and of autograd agree? Takes a setting as JSON, prints JSON."""

from __future__ import annotations

from _machine import one_thread

one_thread()

import json
import sys

import torch
from peers.ours import agreement
from peers.problem import Setting, draw

if __name__ == "__main__":
    torch.set_num_threads(1)
    print(json.dumps([agreement(draw(Setting(**each))) for each in json.loads(sys.argv[1])]))
