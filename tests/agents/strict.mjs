// Servers that refuse chat completions with the messages of real ones, as users of other gateways have reported them. A program must work over them
// although it doesn't know them: the gateway adapts its requests, after a refusal if need be.

const refusal = (status, message, more = {}) => ({ status, error: { error: { message, type: 'invalid_request_error', param: null, code: null, ...more } } });

const isCall = ({ role, tool_calls }) => role === 'assistant' && tool_calls?.length > 0;
const isForced = (choice) => choice === 'required' || choice === 'any' || typeof choice === 'object';
const mentionsJson = (messages) => messages.some(({ content }) => /json/i.test(JSON.stringify(content ?? '')));

/** Fields of chat completions that servers with a closed schema know. */
const CLOSED = {
  body: ['model', 'messages', 'temperature', 'top_p', 'n', 'max_tokens', 'stream', 'stop', 'seed', 'presence_penalty', 'frequency_penalty', 'tools']
    .concat(['tool_choice', 'response_format', 'user', 'logit_bias']),
  function: ['name', 'description', 'parameters'],
  system: ['role', 'content'],
  user: ['role', 'content'],
  assistant: ['role', 'content', 'tool_calls'],
  tool: ['role', 'content', 'tool_call_id'],
};
/** Fields of chat completions at Mistral. */
const MISTRAL = {
  ...CLOSED,
  body: ['model', 'messages', 'temperature', 'top_p', 'n', 'max_tokens', 'stream', 'stop', 'random_seed', 'presence_penalty', 'frequency_penalty', 'tools']
    .concat(['tool_choice', 'response_format', 'metadata', 'prediction', 'parallel_tool_calls', 'prompt_mode', 'safe_prompt', 'prompt_cache_key']),
  function: ['name', 'description', 'parameters', 'strict'],
  assistant: ['role', 'content', 'tool_calls', 'prefix'],
  tool: ['role', 'content', 'tool_call_id', 'name'],
};

/** Places of all fields that a schema doesn't have. */
function* unknownFields(schema, body) {
  for (const name of Object.keys(body)) if (!schema.body.includes(name)) yield ['body', name];
  for (const [at, message] of body.messages.entries()) {
    const known = schema[message.role] ?? schema.system;
    for (const name of Object.keys(message)) if (!known.includes(name)) yield ['body', 'messages', at, message.role, name];
  }
  for (const [at, tool] of (body.tools ?? []).entries()) {
    for (const name of Object.keys(tool.function ?? {})) if (!schema.function.includes(name)) yield ['body', 'tools', at, 'function', name];
  }
}

/** Mistral's own API. */
function* mistral({ messages, ...body }) {
  const unknown = [...unknownFields(MISTRAL, { messages, ...body })];
  const detail = unknown.map((loc) => ({ type: 'extra_forbidden', loc, msg: 'Extra inputs are not permitted', input: null }));
  if (detail.length > 0) yield { status: 422, error: { detail } };
  const refuse = (message, type, code) => ({ status: 400, error: { object: 'error', message, type, param: null, code } });
  for (const [at, message] of messages.entries()) {
    const { role, content, tool_calls, tool_call_id } = message;
    const before = messages[at - 1]?.role;
    const ids = [...(tool_calls ?? []).map(({ id }) => id), ...(tool_call_id === undefined ? [] : [tool_call_id])];
    const wrong = ids.find((id) => !/^[a-zA-Z0-9]{9}$/.test(id));
    if (wrong) yield refuse(`Tool call id was ${wrong} but must be a-z, A-Z, 0-9, with a length of 9.`, 'invalid_function_call', '3280');
    const isMisplaced = (before === 'tool' && (role === 'user' || role === 'system')) || (before === 'user' && role === 'tool');
    if (isMisplaced) yield refuse(`Unexpected role '${role}' after role '${before}'`, 'invalid_request_message_order', '3230');
    if (role === 'assistant' && !content?.length && !isCall(message)) {
      yield refuse('Assistant message must have either content or tool_calls, but not none.', 'invalid_request_assistant_message', '3240');
    }
  }
  const last = messages.at(-1);
  if (last.role === 'assistant' && !last.prefix) {
    const message = 'Expected last role User or Tool (or Assistant with prefix True) for serving but got assistant';
    yield refuse(message, 'invalid_request_message_order', '3230');
  }
}

/** DeepSeek's API at an address that the gateway doesn't know, while the model thinks. */
function* deepseek({ messages, response_format: format, tool_choice: choice, tools, thinking }) {
  const failed = (message) => refusal(400, `Failed to deserialize the JSON body into the target type: ${message}`, { code: 'invalid_request_error' });
  for (const [at, { role, content }] of messages.entries()) {
    const roles = ['system', 'user', 'assistant', 'tool', 'latest_reminder'];
    const expected = roles.map((known) => `\`${known}\``).join(', ');
    if (!roles.includes(role)) yield failed(`messages[${at}].role: unknown variant \`${role}\`, expected one of ${expected} at line 1 column 42`);
    if (Array.isArray(content)) yield failed(`messages[${at}]: invalid type: sequence, expected a string at line 1 column 9837`);
  }
  for (const message of messages) {
    if (message.role === 'assistant' && !message.content && !isCall(message)) {
      yield refusal(400, 'Invalid assistant message: content or tool_calls must be set', { code: 'invalid_request_error' });
    }
  }
  if (format?.type === 'json_schema') yield refusal(400, 'This response_format type is unavailable now', { code: 'invalid_request_error' });
  if (format?.type === 'json_object' && !mentionsJson(messages)) {
    yield refusal(400, "Prompt must contain the word 'json' in some form to use 'response_format' of type 'json_object'.");
  }
  if (thinking?.type === 'disabled') return;
  if (tools && choice && isForced(choice)) yield refusal(400, 'Thinking mode does not support this tool_choice');
  if (messages.some((message) => isCall(message) && !message.reasoning_content)) {
    yield refusal(400, 'The `reasoning_content` in the thinking mode must be passed back to the API.', { code: 'invalid_request_error' });
  }
}

/** Place of a field as Python writes it. */
const tuple = (loc) => `(${loc.map((step) => (typeof step === 'number' ? step : `'${step}'`)).join(', ')})`;

/** vLLM of the time when it refused unknown fields, with a template that has one system message and takes turns. */
function* vllm({ messages, tools, tool_choice: choice, ...body }) {
  const bad = (message) => ({ status: 400, error: { object: 'error', message, type: 'BadRequestError', param: null, code: 400 } });
  const unknown = [...unknownFields(CLOSED, { messages, ...body, ...(tools && { tools }) })];
  const items = unknown.map((loc) => `{'type': 'extra_forbidden', 'loc': ${tuple(loc)}, 'msg': 'Extra inputs are not permitted', 'input': None}`);
  if (items.length > 0) yield bad(`[${items.join(', ')}]`);
  if (tools?.length === 0) yield bad('`tools` must not be an empty array.');
  if (choice && !tools) yield bad('When using `tool_choice`, `tools` must be set.');
  for (const [at, { role }] of messages.entries()) {
    if (role === 'system' && at > 0) yield bad('System message must be at the beginning.');
    const before = messages[at - 1]?.role;
    if (role === 'user' && before === 'user') yield bad('Conversation roles must alternate user/assistant/user/assistant/...');
  }
}

/** A server that names one unknown field at a time, as Groq does. */
function* groq(body) {
  for (const loc of unknownFields(CLOSED, body)) {
    const name = loc.at(-1);
    if (loc[1] !== 'messages') yield refusal(400, `property '${name}' is unsupported`);
    const place = `messages.${loc[2]}`;
    yield refusal(400, `'${place}' : for 'role:${loc[3]}' the following must be satisfied[('${place}' : property '${name}' is unsupported)]`);
  }
}

/** A model of OpenAI that only the Responses API serves. */
function* responses() {
  yield refusal(404, 'This model is only supported in v1/responses and not in v1/chat/completions.', { param: 'model' });
}

export const STRICT = { mistral, deepseek, vllm, groq, responses };

/** The first refusal of a chat completion by the server of this name. */
export const firstRefusal = (name, body) => STRICT[name](body).next().value;
