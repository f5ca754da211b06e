// How fast strong-soap reads an answer that `cargo bench --bench soap -- write FILE N` wrote, and writes it as JSON: MB/s of
// input per second of CPU, and the peak of memory. The package is looked for in NODE_PATH.
const fs = require("fs");
const { soap } = require("strong-soap");
const XMLHandler = require("strong-soap/src/parser/xmlHandler");
const { version } = require("strong-soap/package.json");

const file = process.argv[2];
const answer = fs.readFileSync(file, "utf8");
soap.createClient(`${file}.wsdl`, {}, (error, client) => {
  if (error) throw error;
  const [service] = Object.values(client.wsdl.services);
  const [port] = Object.values(service.ports);
  const operation = port.binding.operations.ListOrders.describe(client.wsdl);
  const context = client.createNamespaceContext("soap", "http://schemas.xmlsoap.org/soap/envelope/");
  const begun = process.cpuUsage();
  const read = new XMLHandler(client.wsdl.schemas, {}).xmlToJson(context, answer, operation.outputEnvelope);
  const text = JSON.stringify(read.Body);
  const used = process.cpuUsage(begun);
  const speed = Buffer.byteLength(answer) / (used.user + used.system);
  const orders = read.Body.ListOrdersResponse.Orders.Order.length;
  const peak = process.resourceUsage().maxRSS / 1024;
  console.log(
    `strong-soap ${version}: ${speed.toFixed(2)} MB/s, ${orders} orders, ${text.length} bytes of JSON, ` +
      `${peak.toFixed(0)} MB of memory`,
  );
});
