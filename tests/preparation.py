"""Experiments of single systems, as a request makes them."""

from serkit.data.store import Store
from serkit.runs.request import Request


def prepare(system, corpora, protocol="clean", store=None, definitions=None, also=()):
    request = Request([system], corpora, protocol, protocols=definitions or {}, also=also, store=store or Store())
    return request.prepare(system)
