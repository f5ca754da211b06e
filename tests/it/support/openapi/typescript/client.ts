// A program that is written against the types alone. What is wrong in it by them is marked, and must be wrong.
import createClient from "openapi-fetch";
import type { components, paths } from "./api.js";

declare const process: { argv: string[] };
const [, , baseUrl = "", key = ""] = process.argv;

type Order = components["schemas"]["orders.v2"];
type Problem = components["schemas"]["Problem"];

function check(holds: boolean, what: string): asserts holds {
  if (!holds) throw new Error(what);
}

// With `fields` a record has what was asked for; without it is whole.
function isWhole(order: Order | components["schemas"]["orders.v2.part"]): order is Order {
  return order.order_no !== undefined && order.lines !== undefined;
}

const client = createClient<paths, "application/json" | "application/problem+json">({ baseUrl, headers: { Authorization: `Bearer ${key}` } });

// A page, with filters, an order, and customers beside the orders.
const list = await client.GET("/v2/orders", {
  params: {
    query: {
      "status[in]": "open,closed",
      "amounts.gross[gte]": "100.00",
      or: "(currency=EUR,currency=CHF)",
      sort: "-amounts.gross,order_no",
      include: "customer",
      limit: 3,
      count: true,
    },
  },
});
check(list.data !== undefined, `a page: ${JSON.stringify(list.error)}`);
check(list.data.data.length === 3 && !list.data.page.complete, "three orders");
const total: number = list.data.page.total ?? list.data.page.total_estimate ?? 0;
check(total > 3 && list.response.headers.get("x-request-id") !== null, "all are counted");
const order = list.data.data[0];
check(order !== undefined && isWhole(order), "whole orders");
const gross: number = order.amounts.gross;
const shipped: string | null = order.shipped_on;
const state: "open" | "on-hold" | "shipped" | "closed" | "cancelled" = order.status;
const sku: string | undefined = order.lines[0]?.sku;
check(gross >= 100 && (shipped === null || shipped.length === 10) && state !== "cancelled" && sku !== undefined, "an order");
const customer = order.customer;
check(customer === null || customer === undefined || customer.name !== undefined, "its customer");

// The next page, as its address says.
const next = new URL(list.data.page.next ?? "", baseUrl).searchParams.get("cursor");
check(next !== null, "a cursor");



// One record, and not again while it is the same.
const one = await client.GET("/v2/orders/{key}", { params: { path: { key: order.order_no }, query: { fields: "order_no,amounts.net" } } });
check(one.data !== undefined && one.data.amounts?.net !== undefined && one.data.status === undefined, "a part of an order");
const again = await client.GET("/v2/orders/{key}", {
  params: { path: { key: order.order_no }, query: { fields: "order_no,amounts.net" }, header: { "If-None-Match": one.response.headers.get("etag") ?? "" } },
});
check(again.response.status === 304, "304");

// A problem has a code.
const none = await client.GET("/v1/customers/{key}", { params: { path: { key: "none" } } });
const problem: Problem | undefined = none.error;
check(problem?.code === "no-such-record" && problem.status === 404, "a problem");

// What changed, in order.
const changes = await client.GET("/v2/orders/changes", { params: { query: { since: "0", limit: 2 } } });
const kind: "created" | "updated" | "deleted" | undefined = changes.data?.data[0]?.kind;
check(kind === "created" && changes.data?.page.next !== undefined, "changes");

// A write, twice under one key; a change; and the end of it.
const write = (header: string) => ({ params: { header: { "Idempotency-Key": `"${header}"` } } });
const body = { article_no: "8150", name: "Pliers", price: 19.9 };
const made = await client.POST("/v1/articles", { ...write("ts-1"), body });
check(made.response.status === 201 && made.response.headers.get("location") === "/v1/articles/8150", "an article is made");
check(made.data !== undefined && "article_no" in made.data && made.data.price === 19.9, "and answered");
const twice = await client.POST("/v1/articles", { ...write("ts-1"), body });
check(twice.response.headers.get("idempotent-replayed") === "true", "once");
const path = { key: "8150" };
const changed = await client.PATCH("/v1/articles/{key}", {
  params: { path, header: { "Idempotency-Key": '"ts-2"', "If-Match": made.response.headers.get("etag") ?? "" } },
  body: { price: 21 },
});
check(changed.data !== undefined && "state" in changed.data && changed.data.state === "succeeded", "a change");
const gone = await client.DELETE("/v1/articles/{key}", { params: { path, header: { "Idempotency-Key": '"ts-3"' } } });
check(gone.response.status === 200, "and gone");

// Mistakes that the types find.
export function wrong(order: Order, part: components["schemas"]["orders.v2.part"]): void {
  // @ts-expect-error: there is no such field
  void order.colour;
  // @ts-expect-error: a part may lack it
  part.order_no.length;
  // @ts-expect-error: there is no such state
  void (order.status === "lost");
  // @ts-expect-error: a masked field is not there for everybody
  void ((customer: components["schemas"]["customers.v1"]) => customer.balance.toFixed(2));
  // @ts-expect-error: no such filter
  void client.GET("/v2/orders", { params: { query: { colour: "red" } } });
  // @ts-expect-error: the key of the record is missing
  void client.GET("/v2/orders/{key}", { params: {} });
  // @ts-expect-error: a write has a key
  void client.POST("/v1/articles", { body });
  // @ts-expect-error: the body lacks a field
  void client.POST("/v1/articles", { ...write("x"), body: { article_no: "1", name: "x" } });
  // @ts-expect-error: there is no such path
  void client.GET("/v1/nothing");
}

console.log("all is well");
