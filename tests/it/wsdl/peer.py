# What zeep writes of a request, beside what we wrote, both as text that is the same where the XML means the same:
# names with their namespaces, attributes in order, prefixes in values resolved. Reads a list of cases from the standard
# input, each with `wsdl`, `port`, `operation`, `arguments` (an expression; `t` makes types, by namespace and name) and
# `envelope`; writes a list of pairs. Of a case with an `answer` it writes what zeep reads in it.
import json
import sys
from decimal import Decimal
from datetime import date, datetime

from lxml import etree
from zeep import Client, Settings, Transport, xsd
from zeep.helpers import serialize_object

XSI = "{http://www.w3.org/2001/XMLSchema-instance}"
ENC = "{http://schemas.xmlsoap.org/soap/encoding/}"

# What zeep would fetch.
KNOWN = {
    "http://www.w3.org/2001/xml.xsd": b"""<schema xmlns="http://www.w3.org/2001/XMLSchema"
 targetNamespace="http://www.w3.org/XML/1998/namespace"><attribute name="lang" type="string"/></schema>""",
    "http://schemas.xmlsoap.org/soap/encoding/": b"""<schema xmlns="http://www.w3.org/2001/XMLSchema"
 xmlns:e="http://schemas.xmlsoap.org/soap/encoding/" targetNamespace="http://schemas.xmlsoap.org/soap/encoding/">
<attribute name="arrayType" type="string"/>
<complexType name="Array"><sequence><any minOccurs="0" maxOccurs="unbounded" processContents="lax"/></sequence>
<attribute ref="e:arrayType"/></complexType></schema>""",
}


class Offline(Transport):
    def load(self, url):
        return KNOWN.get(url) or super().load(url)


def resolved(element, value):
    prefix, _, local = value.rpartition(":")
    return "{%s}%s" % (element.nsmap.get(prefix or None), local)


def meaning(element, depth=0):
    attributes = {}
    for name, value in element.attrib.items():
        if name in (XSI + "type", ENC + "arrayType"):
            value = resolved(element, value)
        attributes[name] = value
    shown = " ".join("%s=%r" % pair for pair in sorted(attributes.items()))
    text = (element.text or "").strip()
    lines = ["%s%s [%s] %s" % ("  " * depth, element.tag, shown, text)]
    for child in element:
        if isinstance(child.tag, str):
            lines.append(meaning(child, depth + 1))
    return "\n".join(lines)


pairs = []
clients = {}
for case in json.load(sys.stdin):
    client = clients.setdefault(case["wsdl"], None) or Client(case["wsdl"], transport=Offline())
    clients[case["wsdl"]] = client
    service = next(iter(client.wsdl.services.values()))
    proxy = client.bind(service.name, case["port"])

    def t(namespace, name):
        return client.get_type("{%s}%s" % (namespace, name))

    def call(*given, **named):
        return given, named

    names = {"call": call, "t": t, "xsd": xsd, "Decimal": Decimal, "date": date, "datetime": datetime, "etree": etree}
    if "answer" in case:
        operation = proxy._binding.get(case["operation"])
        read = operation.process_reply(etree.fromstring(case["answer"].encode()))
        pairs.append(json.loads(json.dumps(serialize_object(read), default=str)))
        continue
    given, named = eval("call(%s)" % case["arguments"], names)
    theirs = client.create_message(proxy, case["operation"], *given, **named)
    ours = etree.fromstring(case["envelope"].encode())
    pairs.append([meaning(theirs), meaning(ours)])
json.dump(pairs, sys.stdout)
