// Rules by which real providers reject requests, as users of other gateways have reported them. The list isn't complete.

const NAME = /^[a-zA-Z0-9_-]{1,64}$/;
const COMPOSED = ['$ref', 'anyOf', 'oneOf', 'allOf', 'not', 'enum'];

/** Whether a schema is of type object and has no composition such as `anyOf` at the top level. */
const isSchema = (schema) =>
  schema?.type === 'object' && typeof (schema.properties ?? {}) === 'object' && COMPOSED.every((name) => !(name in schema));

function* openai({ messages, tools = [], user, max_tokens, max_completion_tokens, stop = [] }) {
  if (user && user.length > 64) yield `a user of ${user.length} letters`;
  if (max_tokens && max_completion_tokens) yield 'two limits of the answer';
  if (Array.isArray(stop) && stop.length > 4) yield `${stop.length} stops`;
  for (const { type, function: tool } of tools) {
    if (type !== 'function') yield `a tool of the type ${type}`;
    else if (!NAME.test(tool.name)) yield `the tool ${tool.name}`;
    else if (tool.parameters && !(isSchema(tool.parameters) && tool.parameters.properties)) yield `the parameters of ${tool.name}`;
  }
  for (const [at, message] of messages.entries()) {
    if (message.role !== 'assistant' && message.content === '') yield `message ${at} is empty`;
    for (const { id } of message.tool_calls ?? []) {
      if (id?.length > 40) yield `the id ${id} has ${id.length} letters`;
      const results = messages.slice(at + 1).findIndex(({ role }) => role !== 'tool');
      const answers = messages.slice(at + 1, results < 0 ? undefined : at + 1 + results);
      if (!answers.some(({ tool_call_id }) => tool_call_id === id)) yield `the call ${id} has no result behind it`;
    }
  }
}

function* anthropic({ messages, max_tokens, tools = [], system = [], temperature, top_p }) {
  if (!(max_tokens > 0)) yield `max_tokens is ${max_tokens}`;
  if (temperature > 1) yield `the temperature is ${temperature}`;
  if (temperature !== undefined && top_p !== undefined) yield 'a temperature and top_p';
  const blocks = messages.flatMap(({ content }) => (Array.isArray(content) ? content : []));
  const marks = [tools, Array.isArray(system) ? system : [], blocks].flat().filter(({ cache_control }) => cache_control);
  if (marks.length > 4) yield `${marks.length} marks for the cache`;
  for (const { type = 'custom', name, input_schema } of tools) {
    if (type !== 'custom') continue;
    if (!NAME.test(name)) yield `the tool ${name}`;
    if (!isSchema(input_schema)) yield `the schema of ${name}`;
  }
  if (messages[0]?.role !== 'user') yield 'the first message is not the user’s';
  for (const [at, { content }] of messages.entries()) {
    if (content.length === 0) yield `message ${at} is empty`;
    for (const block of Array.isArray(content) ? content : []) {
      if (block.type === 'text' && block.text === '') yield `a text of message ${at} is empty`;
      if (block.type === 'thinking' && (!block.signature || block.signature.startsWith('nt1.'))) yield 'a thought that isn’t its own';
      if (block.type !== 'tool_use') continue;
      const next = messages[at + 1]?.content;
      const isAnswered = Array.isArray(next) && next.some(({ tool_use_id }) => tool_use_id === block.id);
      if (!isAnswered) yield `the call ${block.id} has no result behind it`;
    }
  }
}

function* gemini({ contents, tools = [] }) {
  const names = tools.flatMap(({ functionDeclarations = [] }) => functionDeclarations.map(({ name }) => name));
  for (const name of names) if (!NAME.test(name)) yield `the tool ${name}`;
  for (const [at, { role, parts }] of contents.entries()) {
    if (!parts?.length) yield `turn ${at} is empty`;
    if (at > 0 && contents[at - 1].role === role) yield `turn ${at} is ${role}’s again`;
    const calls = contents[at - 1]?.parts?.filter(({ functionCall }) => functionCall).length ?? 0;
    const results = parts?.filter(({ functionResponse }) => functionResponse).length ?? 0;
    if (calls !== results) yield `turn ${at} has ${results} results for ${calls} calls`;
    for (const { functionCall, functionResponse } of parts ?? []) {
      const name = functionCall?.name ?? functionResponse?.name;
      if (name && !names.includes(name)) yield `${name} is not among the tools`;
    }
  }
}

const RULES = { openai, anthropic, gemini };

/** Reasons why the real provider of this kind would reject a request body. */
export const refusals = (kind, body) => [...RULES[kind](body)];
