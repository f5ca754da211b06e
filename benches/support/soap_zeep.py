#!/usr/bin/env python3
"""How fast zeep reads an answer that `cargo bench --bench soap -- write FILE N` wrote, and writes it as JSON: MB/s of
input per second of CPU, and the peak of memory."""
import json
import resource
import sys
import time

import zeep
from lxml import etree
from zeep.helpers import serialize_object

file = sys.argv[1]
with open(file, "rb") as source:
    answer = source.read()
client = zeep.Client(file + ".wsdl")
operation = client.service._binding.get("ListOrders")
start = time.process_time()
parser = etree.XMLParser(huge_tree=True)
read = operation.process_reply(etree.fromstring(answer, parser))
text = json.dumps(serialize_object(read, dict), default=str)
spent = time.process_time() - start
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(f"zeep {zeep.__version__}: {len(answer) / 1e6 / spent:.2f} MB/s, {len(text)} bytes of JSON, {peak:.0f} MB of memory")
