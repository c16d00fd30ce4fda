/** Code examples; the key is read from the environment. */

export interface Example {
  id: string;
  name: string;
  text: string;
}

export function examples(origin: string, model: string): Example[] {
  return [
    {
      id: 'openai-python',
      name: 'OpenAI Python',
      text: `import os
from openai import OpenAI

client = OpenAI(base_url="${origin}/v1", api_key=os.environ["NATTER_KEY"])
answer = client.chat.completions.create(
    model="${model}",
    messages=[{"role": "user", "content": "Hello"}],
)
print(answer.choices[0].message.content)
`
    },
    {
      id: 'openai-node',
      name: 'OpenAI Node',
      text: `import OpenAI from 'openai';

const client = new OpenAI({ baseURL: '${origin}/v1', apiKey: process.env.NATTER_KEY });
const answer = await client.chat.completions.create({
  model: '${model}',
  messages: [{ role: 'user', content: 'Hello' }],
});
console.log(answer.choices[0].message.content);
`
    },
    {
      id: 'anthropic-python',
      name: 'Anthropic Python',
      text: `import os
from anthropic import Anthropic

client = Anthropic(base_url="${origin}", api_key=os.environ["NATTER_KEY"])
answer = client.messages.create(
    model="${model}",
    max_tokens=1024,
    messages=[{"role": "user", "content": "Hello"}],
)
print(answer.content[0].text)
`
    },
    {
      id: 'anthropic-node',
      name: 'Anthropic Node',
      text: `import Anthropic from '@anthropic-ai/sdk';

const client = new Anthropic({ baseURL: '${origin}', apiKey: process.env.NATTER_KEY });
const answer = await client.messages.create({
  model: '${model}',
  max_tokens: 1024,
  messages: [{ role: 'user', content: 'Hello' }],
});
console.log(answer.content[0].text);
`
    },
    {
      id: 'curl',
      name: 'curl',
      text: `curl ${origin}/v1/chat/completions \\
  -H "Authorization: Bearer $NATTER_KEY" \\
  -H "Content-Type: application/json" \\
  -d '{"model": "${model}", "messages": [{"role": "user", "content": "Hello"}]}'
`
    }
  ];
}
