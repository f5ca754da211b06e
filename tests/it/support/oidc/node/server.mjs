// An OpenID provider on the npm package `oidc-provider`.
//
// It prints its port when it listens, and ends when its standard input does. The clients `webshop` and `gateway` get
// tokens by client credentials: signed ones for the resource https://api.example/, opaque ones for
// https://api.example/opaque. /test/rotate?alg=ES256 signs by a new key from now on, with the one before still published;
// `&drop=1` publishes the new one alone. $OIDC_PEER is the folder that the package is in.
import { Console } from 'node:console';
import crypto from 'node:crypto';
import http from 'node:http';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

// Standard output is for the port.
globalThis.console = new Console(process.stderr, process.stderr);
// Debian 12 has Node.js 18, which lacks these.
globalThis.crypto ??= crypto.webcrypto;
URL.parse ??= (text, base) => {
  try {
    return new URL(text, base);
  } catch {
    return null;
  }
};
const entry = path.join(process.env.OIDC_PEER, 'node_modules', 'oidc-provider', 'lib', 'index.js');
const { Provider } = await import(pathToFileURL(entry));

const KINDS = {
  RS256: () => crypto.generateKeyPairSync('rsa', { modulusLength: 2048 }),
  PS256: () => crypto.generateKeyPairSync('rsa', { modulusLength: 2048 }),
  ES256: () => crypto.generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  ES384: () => crypto.generateKeyPairSync('ec', { namedCurve: 'P-384' }),
  EdDSA: () => crypto.generateKeyPairSync('ed25519'),
};
const counts = { keys: 0, introspections: 0 };
let keys = [];
let algorithm;
let provider;
let number = 0;

function rotate(next, drop) {
  algorithm = next;
  number += 1;
  const jwk = KINDS[next]().privateKey.export({ format: 'jwk' });
  keys = [{ ...jwk, kid: `key-${number}`, use: 'sig', alg: next }, ...(drop ? [] : keys)];
  const client = (id) => ({
    client_id: id,
    client_secret: 's3cret & more',
    grant_types: ['client_credentials'],
    redirect_uris: [],
    response_types: [],
    id_token_signed_response_alg: next,
  });
  provider = new Provider(`http://127.0.0.1:${server.address().port}`, {
    jwks: { keys },
    clients: [client('webshop'), client('gateway')],
    scopes: ['orders:read', 'orders:write', 'stock:read'],
    ttl: { ClientCredentials: 600 },
    enabledJWA: { idTokenSigningAlgValues: Object.keys(KINDS) },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      introspection: { enabled: true },
      revocation: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => 'https://api.example/',
        getResourceServerInfo: (ctx, resource) => ({
          scope: 'orders:read orders:write stock:read',
          audience: 'tollbridge',
          accessTokenFormat: resource.endsWith('opaque') ? 'opaque' : 'jwt',
          jwt: { sign: { alg: algorithm } },
        }),
      },
    },
  });
}

const server = http.createServer((request, response) => {
  const url = new URL(request.url, 'http://peer');
  if (url.pathname === '/test/rotate') {
    rotate(url.searchParams.get('alg') || 'RS256', url.searchParams.has('drop'));
    return response.end('{}');
  }
  if (url.pathname === '/test/counts') return response.end(JSON.stringify(counts));
  if (url.pathname === '/jwks') counts.keys += 1;
  if (url.pathname === '/token/introspection') counts.introspections += 1;
  return provider.callback()(request, response);
});

server.listen(0, '127.0.0.1', () => {
  process.stdout.write(`${server.address().port}\n`);
  rotate('RS256', true);
});
process.stdin.resume();
process.stdin.on('end', () => process.exit(0));
