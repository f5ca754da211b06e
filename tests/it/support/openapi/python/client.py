"""A program that is written against the generated package alone."""

import sys
from http import HTTPStatus

from tollbridge_client.api.articles_v1 import create_articles_v1, update_articles_v1
from tollbridge_client.api.customers_v1 import get_customers_v1
from tollbridge_client.api.orders_v2 import get_orders_v2, list_orders_v2, list_orders_v2_changes
from tollbridge_client.client import AuthenticatedClient
from tollbridge_client.models import (
    ArticlesV1,
    ArticlesV1CreateBody,
    ArticlesV1UpdateBody,
    Changes,
    Operation,
    OrdersV2,
    OrdersV2Page,
    OrdersV2Part,
    Problem,
)
from tollbridge_client.types import UNSET

client = AuthenticatedClient(base_url=sys.argv[1], token=sys.argv[2])

page = list_orders_v2.sync(client=client, statusin="open,closed", sort="-amounts.gross", include="customer", limit=3)
assert isinstance(page, OrdersV2Page), page
assert len(page.data) == 3 and page.page.next_ is not None
order = page.data[0]
assert isinstance(order, OrdersV2), order
gross: float = order.amounts.gross
assert gross > 0 and order.lines[0].sku and order.customer is not UNSET

part = get_orders_v2.sync(order.order_no, client=client, fields="order_no,amounts.net")
assert isinstance(part, OrdersV2Part) and part.status is UNSET and part.order_no == order.order_no, part

answer = get_customers_v1.sync_detailed("none", client=client)
assert answer.status_code == HTTPStatus.NOT_FOUND and isinstance(answer.parsed, Problem), answer
assert answer.parsed.code == "no-such-record"

changes = list_orders_v2_changes.sync(client=client, since="0", limit=2)
assert isinstance(changes, Changes) and changes.data[0].kind == "created" and changes.page.next_

body = ArticlesV1CreateBody(article_no="8151", name="Tongs", price=9.5)
made = create_articles_v1.sync_detailed(client=client, body=body, idempotency_key='"py-1"')
assert made.status_code == HTTPStatus.CREATED and isinstance(made.parsed, ArticlesV1), made
assert made.parsed.price == 9.5 and made.headers["location"] == "/v1/articles/8151"
changed = update_articles_v1.sync("8151", client=client, body=ArticlesV1UpdateBody(price=10), idempotency_key='"py-2"')
assert isinstance(changed, Operation) and changed.state == "succeeded", changed

print("all is well")
