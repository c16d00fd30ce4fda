// Fake AI provider with the APIs of OpenAI, Gemini and Anthropic, controlled by a test. A reduced version of tests/support/src/upstream, with what
// the libraries need.

import { createServer } from 'node:http';

/** Responses to plan; `answer` responds with a text. */
export const answer = (text) => ({ text });
/** Responds with tool calls, each given as the name of the tool and its input. */
export const callTools = (...calls) => ({ calls: calls.map(([name, input]) => ({ name, input })) });
/** Streams a text and then reports an error. */
export const fail = (text) => ({ text, fails: true });
/** Rejects the request. Gemini states the delay in the body, the others in `Retry-After`. */
export const refuse = (status, seconds) => ({ status, seconds });
/** The same response after reasoning, which only the kinds `openai` and `mistral` have. */
export const thinking = (thoughts, planned) => ({ ...planned, thoughts });

let callCount = 0;
/** The next call id, of nine letters and digits. Most providers don't repeat an id in a conversation. */
const nextCallId = () => `call${String(++callCount).padStart(5, '0')}`;

const VECTOR = [0.5, -1, 2];
const data = (value) => `data: ${JSON.stringify(value)}\n\n`;
const event = (value) => `event: ${value.type}\n${data(value)}`;
/** Splits a text into words with their spaces, so that they can be joined to the same text. */
const words = (text) => text.match(/[^ ]* ?/g).filter(Boolean);
const halves = (text) => [text.slice(0, text.length / 2), text.slice(text.length / 2)];

/** Response of OpenAI's Responses API. */
function response({ text, calls }) {
  const items = calls?.map(({ name, input }, at) => ({
    id: `fc_${at}`,
    type: 'function_call',
    status: 'completed',
    call_id: `call_${nextCallId()}`,
    name,
    arguments: JSON.stringify(input),
  })) ?? [{ id: 'msg_0', type: 'message', status: 'completed', role: 'assistant', content: [{ type: 'output_text', text, annotations: [] }] }];
  const usage = {
    input_tokens: 7,
    input_tokens_details: { cached_tokens: 0 },
    output_tokens: 3,
    output_tokens_details: { reasoning_tokens: 0 },
    total_tokens: 10,
  };
  return { id: 'resp_1', object: 'response', created_at: 1, model: 'small', error: null, status: 'completed', output: items, usage };
}

/** Streamed events of an item of a response. */
function itemEvents(item, output_index) {
  const place = { item_id: item.id, output_index };
  const added = (started) => ({ type: 'response.output_item.added', output_index, item: { ...item, status: 'in_progress', ...started } });
  const done = { type: 'response.output_item.done', output_index, item };
  if (item.type === 'function_call') {
    const { name, arguments: text } = item;
    const deltas = halves(text).map((delta) => ({ type: 'response.function_call_arguments.delta', ...place, delta }));
    return [added({ arguments: '' }), ...deltas, { type: 'response.function_call_arguments.done', ...place, name, arguments: text }, done];
  }
  const [part] = item.content;
  const inPart = (type, fields) => ({ type: `response.${type}`, ...place, content_index: 0, ...fields });
  return [
    added({ content: [] }),
    inPart('content_part.added', { part: { ...part, text: '' } }),
    ...words(part.text).map((delta) => inPart('output_text.delta', { delta, logprobs: [] })),
    inPart('output_text.done', { text: part.text, logprobs: [] }),
    inPart('content_part.done', { part }),
    done,
  ];
}

/** Streamed events of OpenAI's Responses API. */
function responseEvents(planned) {
  const { usage, ...completed } = response(planned);
  const done = completed.output.flatMap(itemEvents);
  const events = [
    { type: 'response.created', response: { ...completed, status: 'in_progress', output: [] } },
    ...done,
    { type: 'response.completed', response: { ...completed, usage } },
  ];
  return events.map((value, sequence_number) => event({ ...value, sequence_number }));
}

const openai = {
  version: 'v1',
  streams: (_, body) => body?.stream === true,
  fixed(path, body) {
    if (path.endsWith('/audio/transcriptions')) return { text: 'What was said.' };
    if (!path.endsWith('/embeddings')) return undefined;
    const count = Array.isArray(body.input) ? body.input.length : 1;
    const embedding = body.encoding_format === 'base64' ? Buffer.from(new Float32Array(VECTOR).buffer).toString('base64') : VECTOR;
    const list = Array.from({ length: count }, (_, index) => ({ object: 'embedding', index, embedding }));
    return { object: 'list', data: list, model: body.model, usage: { prompt_tokens: 7, total_tokens: 7 } };
  },
  models: (id) => ({ object: 'list', data: [{ id, object: 'model', created: 1, owned_by: 'test' }] }),
  whole({ text, calls, thoughts }, path) {
    if (path.endsWith('/responses')) return response({ text, calls });
    const tool_calls = calls?.map(({ name, input }, at) => this.call(name, JSON.stringify(input), at));
    const said = calls ? { role: 'assistant', content: null, tool_calls } : { role: 'assistant', content: text };
    const message = thoughts ? { ...said, reasoning_content: thoughts } : said;
    const choices = [{ index: 0, message, finish_reason: calls ? 'tool_calls' : 'stop' }];
    return { id: 'chatcmpl-1', object: 'chat.completion', created: 1, model: 'small', choices, usage: this.usage };
  },
  frames({ text, calls, thoughts, fails }, path) {
    if (path.endsWith('/responses')) return responseEvents({ text, calls });
    const head = { id: 'chatcmpl-1', object: 'chat.completion.chunk', created: 1, model: 'small' };
    const chunk = (delta, finish_reason = null) => data({ ...head, choices: [{ index: 0, delta, finish_reason }] });
    const frames = [chunk({ role: 'assistant', content: '' })];
    if (thoughts) frames.push(chunk({ reasoning_content: thoughts }));
    for (const [index, { name, input }] of (calls ?? []).entries()) {
      frames.push(chunk({ tool_calls: [{ index, ...this.call(name, '', index) }] }));
      for (const part of halves(JSON.stringify(input))) frames.push(chunk({ tool_calls: [{ index, function: { arguments: part } }] }));
    }
    if (text) frames.push(...words(text).map((content) => chunk({ content })));
    if (fails) return [...frames, data(this.refusal(500))];
    const last = data({ ...head, choices: [], usage: this.usage });
    return [...frames, chunk({}, calls ? 'tool_calls' : 'stop'), last, 'data: [DONE]\n\n'];
  },
  refusal(status) {
    const type = status < 500 ? 'invalid_request_error' : 'server_error';
    return { error: { message: 'refused by the test', type, param: null, code: null } };
  },
  usage: { prompt_tokens: 7, completion_tokens: 3, total_tokens: 10 },
  call: (name, text) => ({ id: `call_${nextCallId()}`, type: 'function', function: { name, arguments: text } }),
};

const gemini = {
  version: 'v1beta',
  streams: (path) => path.includes('streamGenerateContent'),
  fixed(path, body) {
    if (path.includes(':countTokens')) return { totalTokens: 7 };
    if (!path.includes('mbedContent')) return undefined;
    return body.requests ? { embeddings: body.requests.map(() => ({ values: VECTOR })) } : { embedding: { values: VECTOR } };
  },
  models: (id) => ({ models: [{ name: `models/${id}` }] }),
  whole(planned) {
    return { ...this.candidate(this.parts(planned), 'STOP'), usageMetadata: this.usage };
  },
  frames(planned) {
    const frames = this.parts(planned).map((part) => data(this.candidate([part])));
    if (planned.fails) return [...frames, data(this.refusal(500))];
    return [...frames, data({ ...this.candidate([{ text: '' }], 'STOP'), usageMetadata: this.usage })];
  },
  refusal(status, seconds) {
    const details = seconds ? [{ '@type': 'type.googleapis.com/google.rpc.RetryInfo', retryDelay: `${seconds}s` }] : [];
    const name = { 400: 'INVALID_ARGUMENT', 429: 'RESOURCE_EXHAUSTED' }[status] ?? 'INTERNAL';
    return { error: { code: status, status: name, message: 'refused by the test', details } };
  },
  usage: { promptTokenCount: 7, candidatesTokenCount: 3, totalTokenCount: 10 },
  parts({ text, calls }) {
    return calls ? calls.map(({ name, input }) => ({ functionCall: { name, args: input } })) : words(text).map((word) => ({ text: word }));
  },
  candidate: (parts, finishReason) => ({ candidates: [{ index: 0, content: { role: 'model', parts }, finishReason }] }),
};

const anthropic = {
  version: 'v1',
  streams: (_, body) => body?.stream === true,
  fixed: (path) => (path.includes('/messages/count_tokens') ? { input_tokens: 7 } : undefined),
  models(id) {
    const model = { type: 'model', id, display_name: id, created_at: '2026-01-01T00:00:00Z' };
    return { data: [model], has_more: false, first_id: id, last_id: id };
  },
  whole({ text, calls }) {
    const content = calls?.map((call) => ({ type: 'tool_use', id: `toolu_${nextCallId()}`, ...call })) ?? [{ type: 'text', text }];
    return this.message(content, calls ? 'tool_use' : 'end_turn', 3);
  },
  frames({ text, calls, fails }) {
    const blocks = calls?.map(({ name, input }) => ({
      content_block: { type: 'tool_use', id: `toolu_${nextCallId()}`, name, input: {} },
      deltas: halves(JSON.stringify(input)).map((partial_json) => ({ type: 'input_json_delta', partial_json })),
    })) ?? [{ content_block: { type: 'text', text: '' }, deltas: words(text).map((word) => ({ type: 'text_delta', text: word })) }];
    const frames = [{ type: 'message_start', message: this.message([], null, 1) }];
    for (const [index, { content_block, deltas }] of blocks.entries()) {
      frames.push({ type: 'content_block_start', index, content_block });
      frames.push(...deltas.map((delta) => ({ type: 'content_block_delta', index, delta })));
      if (fails) return [...frames, this.refusal(529)].map(event);
      frames.push({ type: 'content_block_stop', index });
    }
    const delta = { stop_reason: calls ? 'tool_use' : 'end_turn', stop_sequence: null };
    return [...frames, { type: 'message_delta', delta, usage: { output_tokens: 3 } }, { type: 'message_stop' }].map(event);
  },
  refusal(status) {
    const type = { 400: 'invalid_request_error', 429: 'rate_limit_error' }[status] ?? 'overloaded_error';
    return { type: 'error', error: { type, message: 'refused by the test' }, request_id: 'req_1' };
  },
  message: (content, stop_reason, output_tokens) => ({
    id: 'msg_1',
    type: 'message',
    role: 'assistant',
    model: 'small',
    content,
    stop_reason,
    stop_sequence: null,
    usage: { input_tokens: 7, output_tokens },
  }),
};

/** Mistral's API, whose call ids have nine letters and digits. */
const mistral = { ...openai, call: (name, text) => ({ id: nextCallId(), function: { name, arguments: text } }) };

/** A server that numbers the calls of each answer from zero. */
const repeating = { ...openai, call: (name, text, at) => ({ id: `call_${at}`, type: 'function', function: { name, arguments: text } }) };

const DIALECTS = { openai, gemini, anthropic, mistral };

export class Upstream {
  asked = [];
  /** Response to requests for which nothing is planned; undefined if these are rejected. */
  usual = undefined;
  /** Response to requests that the provider would reject, by body and path; undefined for all others. */
  rules = undefined;
  /** Requests that `rules` rejected, with the responses. */
  rejected = [];
  #plan = [];
  #kind;
  #name;
  #dialect;
  #server;

  static async start(kind, name = kind, models = [`${name}-model`], repeatsCallIds = false) {
    const upstream = new Upstream();
    upstream.model = models.join(',');
    upstream.#kind = kind;
    upstream.#name = name;
    upstream.#dialect = repeatsCallIds ? repeating : DIALECTS[kind];
    upstream.#server = createServer((request, response) => upstream.#serve(request, response)).listen(0, '127.0.0.1');
    await new Promise((resolve) => upstream.#server.once('listening', resolve));
    upstream.url = `http://127.0.0.1:${upstream.#server.address().port}/${upstream.#dialect.version}`;
    return upstream;
  }

  /** Settings by which a server uses this provider under its name. */
  get settings() {
    const prefix = `AI__PROVIDERS__${this.#name.toUpperCase()}__`;
    return { [`${prefix}KIND`]: this.#kind, [`${prefix}BASE_URL`]: this.url, [`${prefix}KEYS`]: 'key-one', [`${prefix}MODELS`]: this.model };
  }

  /** Plans the responses to the next requests. If nothing is planned, `usual` applies; without that, the request is rejected. */
  plan(...planned) {
    this.#plan.push(...planned);
  }

  /** Removes the planned responses that were not requested, and returns them. */
  clear() {
    return this.#plan.splice(0);
  }

  /** Body of the last request as JSON text. */
  get last() {
    return JSON.stringify(this.asked.at(-1)?.body);
  }

  async #serve(request, response) {
    const chunks = await request.toArray();
    const text = Buffer.concat(chunks).toString();
    const isJson = request.headers['content-type']?.includes('json');
    const body = isJson && text ? JSON.parse(text) : undefined;
    const path = request.url;
    const send = (status, value, headers = {}) => {
      response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(value));
    };
    if (request.method === 'GET') return send(200, this.#dialect.models(this.model));
    this.asked.push({ path, body });
    const fixed = this.#dialect.fixed(path, body);
    if (fixed) return send(200, fixed);
    const rejection = this.rules?.(body, path);
    if (rejection) {
      this.rejected.push({ body, ...rejection });
      return send(rejection.status, rejection.error);
    }
    const planned = this.#plan.shift() ?? this.usual?.(body, path) ?? refuse(500);
    const { status, seconds } = planned;
    if (status) return send(status, this.#dialect.refusal(status, seconds), seconds ? { 'retry-after': seconds } : {});
    if (!this.#dialect.streams(path, body)) return send(200, this.#dialect.whole(planned, path));
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    for (const frame of this.#dialect.frames(planned, path)) response.write(frame);
    response.end();
  }

  async stop() {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.#server.closeAllConnections();
    await closed;
  }
}
