// Tool server with user accounts and its authorization server: `node signed-in.mjs` prints its address. Visitors are signed in at once as the user that
// `orders` names.
import { createHash, randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import { pathToFileURL } from 'node:url';

const TOOLS = [
	{ name: 'whoami', title: 'Who am I', description: 'Says whose account it is.', annotations: { readOnlyHint: true },
		inputSchema: { type: 'object', properties: {} } },
];

/** The client that an administrator has registered by hand. */
const BY_HAND = { id: 'by-hand', secret: 'open sesame' };

export async function startSignedIn() {
	// `denies` may name the error; `wants` is a scope, or a list with one scope per call.
	const orders = { name: 'anna', ttl: 3600, denies: false, registers: true, document: null, wants: null };
	const seen = { registered: 0, exchanged: 0, renewed: 0, revoked: 0, called: [], problems: [] };
	const clients = new Map([[BY_HAND.id, { secret: BY_HAND.secret, uris: null }]]);
	/** Finds a client. Its id may be the URL of its metadata document. */
	const clientOf = (id) =>
		clients.get(id) ?? (orders.document?.client_id === id ? { uris: orders.document.redirect_uris } : undefined);
	const codes = new Map();
	const access = new Map();
	const refresh = new Map();

	const json = (response, status, body, headers = {}) =>
		response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));

	function refused(response, problem) {
		seen.problems.push(problem);
		return json(response, 400, { error: 'invalid_request', error_description: problem });
	}

	function give(response, { name, client, scope }) {
		const [token, next] = [randomUUID(), randomUUID()];
		access.set(token, { name, scope });
		refresh.set(next, { name, client, scope });
		return json(response, 200, { access_token: token, token_type: 'Bearer', expires_in: orders.ttl, refresh_token: next });
	}

	function authorize(response, url) {
		const given = url.searchParams;
		const client = clientOf(given.get('client_id'));
		const back = given.get('redirect_uri');
		if (!client || (client.uris && !client.uris.includes(back))) return refused(response, 'client');
		if (given.get('response_type') !== 'code' || given.get('code_challenge_method') !== 'S256') return refused(response, 'PKCE');
		const scope = given.get('scope');
		if (given.get('resource') !== resource || !['', ' tools:all'].some((more) => scope === `tools:use offline_access${more}`)) return refused(response, 'resource or scope');
		const to = new URL(back);
		to.searchParams.set('state', given.get('state'));
		to.searchParams.set('iss', issuer);
		if (orders.denies) to.searchParams.set('error', orders.denies === true ? 'access_denied' : orders.denies);
		else {
			const code = randomUUID();
			codes.set(code, { name: orders.name, scope, challenge: given.get('code_challenge'), client: given.get('client_id'), back });
			to.searchParams.set('code', code);
		}
		return response.writeHead(302, { location: to.href }).end();
	}

	function token(response, form) {
		const client = clientOf(form.get('client_id'));
		if (!client) return json(response, 401, { error: 'invalid_client' });
		if (client.secret && client.secret !== form.get('client_secret')) return refused(response, 'client secret');
		if (form.get('resource') !== resource) return refused(response, 'resource of a token');
		if (form.get('grant_type') === 'refresh_token') {
			const known = refresh.get(form.get('refresh_token'));
			// Each token works once.
			refresh.delete(form.get('refresh_token'));
			if (!known) return json(response, 400, { error: 'invalid_grant' });
			seen.renewed += 1;
			return give(response, known);
		}
		const code = codes.get(form.get('code'));
		codes.delete(form.get('code'));
		const challenge = createHash('sha256').update(form.get('code_verifier') ?? '').digest('base64url');
		if (!code || code.challenge !== challenge || code.back !== form.get('redirect_uri') || code.client !== form.get('client_id'))
			return json(response, 400, { error: 'invalid_grant' });
		seen.exchanged += 1;
		return give(response, code);
	}

	function tools(request, response, text) {
		const known = access.get((request.headers.authorization ?? '').replace(/^Bearer /, ''));
		if (!known) {
			const challenge = `Bearer resource_metadata="${base}/.well-known/oauth-protected-resource/mcp", scope="tools:use"`;
			return json(response, 401, { error: 'invalid_token' }, { 'www-authenticate': challenge });
		}
		if (request.method !== 'POST') return response.writeHead(405).end();
		const { id, method, params } = JSON.parse(text);
		if (id === undefined) return response.writeHead(202).end();
		const { name, scope } = known;
		const wants = method === 'tools/call' && (Array.isArray(orders.wants) ? orders.wants.shift() : orders.wants);
		if (wants && !scope.split(' ').includes(wants)) {
			const challenge = `Bearer error="insufficient_scope", scope="tools:use ${wants}"`;
			return json(response, 403, { error: 'insufficient_scope' }, { 'www-authenticate': challenge });
		}
		const answers = {
			initialize: () => ({
				protocolVersion: params.protocolVersion, capabilities: { tools: {} }, serverInfo: { name: 'box', version: '1' },
			}),
			'tools/list': () => ({ tools: TOOLS }),
			'tools/call': () => {
				seen.called.push(name);
				return { content: [{ type: 'text', text: `You are ${name}.` }] };
			},
		};
		return json(response, 200, { jsonrpc: '2.0', id, result: answers[method]?.() ?? {} });
	}

	function control(response, text) {
		const { forgets, ...others } = JSON.parse(text || '{}');
		Object.assign(orders, others);
		if (forgets) access.clear();
		if (forgets === 'all') refresh.clear();
		return json(response, 200, seen);
	}

	const server = createServer(async (request, response) => {
		let text = '';
		for await (const piece of request) text += piece;
		const url = new URL(request.url, base);
		switch (url.pathname) {
			case '/mcp':
				return tools(request, response, text);
			case '/.well-known/oauth-protected-resource/mcp':
				return json(response, 200, { resource, authorization_servers: [issuer], scopes_supported: ['tools:use', 'tools:all'] });
			case '/.well-known/oauth-authorization-server/auth':
				return json(response, 200, {
					issuer,
					authorization_endpoint: `${issuer}/authorize`,
					token_endpoint: `${issuer}/token`,
					revocation_endpoint: `${issuer}/revoke`,
					...(orders.registers && { registration_endpoint: `${issuer}/register` }),
					...(orders.document && { client_id_metadata_document_supported: true }),
					response_types_supported: ['code'],
					code_challenge_methods_supported: ['S256'],
					token_endpoint_auth_methods_supported: ['none', 'client_secret_post'],
					scopes_supported: ['tools:use', 'tools:all', 'offline_access'],
					authorization_response_iss_parameter_supported: true,
				});
			case '/auth/register': {
				const id = randomUUID();
				const { redirect_uris: uris, token_endpoint_auth_method: method } = JSON.parse(text);
				if (method !== 'none') return refused(response, 'a client that wants a secret');
				clients.set(id, { uris });
				seen.registered += 1;
				return json(response, 201, { client_id: id, redirect_uris: uris });
			}
			case '/auth/authorize':
				return authorize(response, url);
			case '/auth/token':
				return token(response, new URLSearchParams(text));
			case '/auth/revoke': {
				const known = refresh.delete(new URLSearchParams(text).get('token'));
				if (known) seen.revoked += 1;
				return response.writeHead(200).end();
			}
			case '/control':
				return control(response, text);
			default:
				return response.writeHead(404).end();
		}
	});
	await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
	const base = `http://127.0.0.1:${server.address().port}`;
	const issuer = `${base}/auth`;
	const resource = `${base}/mcp`;
	const stop = () => {
		server.closeAllConnections();
		server.close();
	};
	const forget = () => {
		access.clear();
		refresh.clear();
	};
	return { url: resource, orders, seen, forget, stop };
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
	const { url } = await startSignedIn();
	console.log(url);
	// Exits with the parent process.
	process.stdin.on('end', () => process.exit()).resume();
}
