// An order service on the npm package `soap`, document/literal, SOAP 1.1 and 1.2.
//
// It prints its port when it listens, and ends when its standard input does. It answers in chunks. Paths: /orders and
// /orders12 (plain), /secured (UsernameToken wanted), /session (a cookie of `Login` wanted, good for so many calls),
// /gzip, /stats. $SOAP_PEER is the folder that the package is in.
'use strict';

const crypto = require('crypto');
const fs = require('fs');
const http = require('http');
const path = require('path');
const zlib = require('zlib');
const soap = require(path.join(process.env.SOAP_PEER, 'node_modules', 'soap'));

const USER = 'svc';
const PASSWORD = 's3cret & <safe>';
const COOKIE_CALLS = Number(process.env.COOKIE_CALLS || 3);
const counts = { calls: 0, logins: 0, created: 0, notified: 0, at_work: 0, most: 0 };
const sessions = new Map();
const orders = new Map();

for (let number = 1; number <= 25; number++) {
  const lines = [];
  for (let line = 1; line <= number % 3; line++) lines.push({ Sku: `A-${number}-${line}`, Quantity: line, Price: '19.90' });
  const tags = [];
  for (let tag = 0; tag < number % 3; tag++) tags.push(`t${tag}`);
  orders.set(number, {
    attributes: { status: number % 2 ? 'open' : 'closed' },
    Number: number,
    Reference: `REF-${number}`,
    Customer: number % 5 ? `Müller & Söhne <${number}>` : null,
    OrderedOn: `2026-11-${String(number).padStart(2, '0')}`,
    Amount: `12345678901234567.${String(number).padStart(2, '0')}`,
    Paid: number % 4 === 0,
    Tag: tags,
    Lines: { Line: lines },
  });
}

function notFound(what, request) {
  const reason = `There is no order ${what}`;
  const detail = { OrderNotFound: { attributes: { xmlns: 'urn:tollbridge:node' }, Number: String(what) } };
  if (!request.url.startsWith('/orders12')) {
    return { Fault: { faultcode: 'soap:Client.NotFound', faultstring: reason, detail, statusCode: 500 } };
  }
  return {
    Fault: {
      Code: { Value: 'soap:Sender', Subcode: { Value: 'tns:NotFound' } }, Reason: { Text: reason }, Detail: detail,
      statusCode: 500,
    },
  };
}

const port = {
  GetOrder({ Number: number }, callback, headers, request) {
    const order = orders.get(Number(number));
    if (!order) throw notFound(number, request);
    return { Order: order };
  },
  GetOrderByReference({ Reference: reference }, callback, headers, request) {
    for (const order of orders.values()) if (order.Reference === reference) return { Order: order };
    throw notFound(reference, request);
  },
  ListOrders({ Cursor: cursor, Limit: limit }) {
    const from = cursor ? Number(Buffer.from(cursor, 'base64').toString()) : 0;
    const all = [...orders.values()];
    const to = from + Number(limit || 10);
    const answer = { Order: all.slice(from, to) };
    if (to < all.length) answer.Cursor = Buffer.from(String(to)).toString('base64');
    return answer;
  },
  CreateOrder(input) {
    for (const order of orders.values()) {
      if (order.Reference === input.Reference) return { Number: order.Number, WasThere: true };
    }
    const number = orders.size + 1;
    const lines = [].concat(input.Line || []);
    orders.set(number, {
      attributes: { status: 'open' }, Number: number, Reference: input.Reference, Customer: input.Customer,
      OrderedOn: '2026-11-28', Amount: input.Amount, Paid: false, Tag: [], Lines: { Line: lines },
    });
    counts.created++;
    return { Number: number, WasThere: false };
  },
  Slow({ Millis: millis }, callback) {
    setTimeout(() => callback({ Millis: millis }), Number(millis));
  },
  Login({ User: user, Password: password }, callback, headers, request, response) {
    counts.logins++;
    if (user !== USER || password !== PASSWORD) {
      throw { Fault: { faultcode: 'soap:Client.LoginFailed', faultstring: 'Wrong user or password', statusCode: 500 } };
    }
    const cookie = `s${crypto.randomBytes(8).toString('hex')}`;
    sessions.set(cookie, COOKIE_CALLS);
    response.setHeader('Set-Cookie', [`theme=dark; Path=/`, `JSESSIONID=${cookie}; Path=/; HttpOnly`]);
    return { Ok: true };
  },
  Notify() {
    counts.notified++;
    return {};
  },
};

const server = http.createServer((request, response) => {
  const { pathname } = new URL(request.url, 'http://localhost');
  response.setHeader('Content-Type', pathname === '/stats' ? 'application/json' : 'text/plain');
  response.statusCode = pathname === '/stats' ? 200 : 404;
  response.end(pathname === '/stats' ? JSON.stringify(counts) : 'no such path');
});

const wsdl = fs.readFileSync(path.join(__dirname, 'orders.wsdl'), 'utf8');
const services = { NodeOrders: { NodeOrders11: port, NodeOrders12: port } };

function wantsToken(security, say) {
  const token = security && security.UsernameToken;
  if (!token || token.Username !== USER) return say(false);
  const password = token.Password.$value !== undefined ? token.Password.$value : token.Password;
  const type = (token.Password.attributes || {}).Type || '';
  if (!type.endsWith('#PasswordDigest')) return say(password === PASSWORD);
  const nonce = token.Nonce.$value !== undefined ? token.Nonce.$value : token.Nonce;
  return say(password === soap.passwordDigest(nonce, token.Created, PASSWORD));
}

function wantsCookie(request, response) {
  // The package asks whatever the path is.
  if (request.method !== 'POST' || !request.url.startsWith('/session')) return true;
  const cookie = /(?:^|; )JSESSIONID=([^;]+)/.exec(request.headers.cookie || '');
  const left = cookie ? sessions.get(cookie[1]) || 0 : 0;
  if (cookie) sessions.set(cookie[1], left - 1);
  const isLogin = String(request.headers.soapaction).includes('Login');
  if (left > 0 || isLogin) return true;
  response.statusCode = 401;
  response.setHeader('Content-Type', 'text/html');
  response.write('<html><body>Your session is over</body></html>');
  return false;
}

const listeners = [];
server.on('request', (request, response) => {
  if (request.method !== 'POST') return;
  counts.calls++;
  counts.at_work++;
  counts.most = Math.max(counts.most, counts.at_work);
  response.on('close', () => counts.at_work--);
  if (new URL(request.url, 'http://localhost').pathname === '/gzip' && /gzip/.test(request.headers['accept-encoding'])) {
    response.setHeader('Content-Encoding', 'gzip');
    const packed = zlib.createGzip();
    const [write, end] = [response.write.bind(response), response.end.bind(response)];
    packed.on('data', (chunk) => write(chunk));
    packed.on('end', () => end());
    response.write = (chunk) => packed.write(chunk);
    response.end = (chunk) => packed.end(chunk);
  }
});
listeners.push(...server.listeners('request').slice(1));

for (const where of ['/orders', '/orders12', '/secured', '/session', '/gzip']) {
  const listening = soap.listen(server, { path: where, services, xml: wsdl, forceSoap12Headers: where === '/orders12', oneWay: { responseCode: 202, emptyBody: false } });
  if (where === '/secured') listening.authenticate = (security, say) => wantsToken(security, say);
  if (where === '/session') listening.authorizeConnection = wantsCookie;
}
// The package puts its listeners in the place of others: those that count come first again.
setImmediate(() => {
  for (const listener of listeners) server.prependListener('request', listener);
  server.listen(0, '127.0.0.1', () => process.stdout.write(`${server.address().port}\n`));
});
process.stdin.on('end', () => process.exit(0));
process.stdin.resume();
