// Receives mail over SMTP on a free port, or on the given one, and prints each mail as one line of JSON.
//
//   node server.mjs [PORT [CERTIFICATE KEY]]
//
// With a certificate it offers STARTTLS. Accepts any name and password, also in clear text.
// Rejects addresses that begin with `refused` permanently, and those that begin with `later` temporarily.
import { readFileSync } from 'node:fs';
import PostalMime from 'postal-mime';
import { SMTPServer } from 'smtp-server';

const tell = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);

const refusal = (code, message) => Object.assign(new Error(message), { responseCode: code });

const [port = 0, certificate, key] = process.argv.slice(2);

const server = new SMTPServer({
  authOptional: true,
  allowInsecureAuth: true,
  disabledCommands: certificate ? [] : ['STARTTLS'],
  ...(certificate && { cert: readFileSync(certificate), key: readFileSync(key) }),
  disableReverseLookup: true,
  logger: false,
  onAuth: ({ username }, _session, callback) => callback(null, { user: username }),
  onRcptTo({ address }, _session, callback) {
    if (address.startsWith('refused')) return callback(refusal(550, 'No such mailbox'));
    if (address.startsWith('later')) return callback(refusal(450, 'Mailbox busy'));
    return callback();
  },
  onData(stream, session, callback) {
    const chunks = [];
    stream.on('data', (chunk) => chunks.push(chunk));
    stream.on('end', async () => {
      const source = Buffer.concat(chunks);
      const mail = await PostalMime.parse(source);
      tell({
        to: session.envelope.rcptTo.map(({ address }) => address),
        from: session.envelope.mailFrom.address,
        user: session.user ?? null,
        secure: session.secure,
        subject: mail.subject,
        text: mail.text,
        html: mail.html,
        headers: Object.fromEntries(mail.headers.map(({ key, value }) => [key, value])),
        source: source.toString('latin1'),
      });
      callback();
    });
  },
});

server.on('error', () => {});
server.listen(Number(port), '127.0.0.1', () => tell({ listening: server.server.address().port }));
// The parent process has exited.
process.stdin.on('end', () => process.exit(0)).resume();
