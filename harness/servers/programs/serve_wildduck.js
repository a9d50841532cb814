'use strict';

// WildDuck's POP3 server over Maildirs, in place of its databases.
//
// Runs with one argument: a JSON file of settings, which says where the package is.

const cluster = require('cluster');
const crypto = require('crypto');
const fs = require('fs');
const path = require('path');
const { createRequire } = require('module');
const { Readable } = require('stream');

const WORKERS = 4;

const settings = JSON.parse(fs.readFileSync(process.argv[2], 'utf-8'));
const POP3Server = createRequire(path.join(settings.package, 'package.json'))('./lib/pop3/server');

// Lines that end in CRLF, as mail comes by SMTP.
function octets(file) {
    return Buffer.from(fs.readFileSync(file, 'latin1').replace(/\r?\n/g, '\r\n'), 'latin1');
}

// The messages in the order of their names, with the sizes of what will be sent.
function messagesOf(user) {
    const files = ['cur', 'new'].flatMap(part => {
        const directory = path.join(settings.mail, user, part);
        return fs.readdirSync(directory).map(name => ({ name, file: path.join(directory, name) }));
    });
    files.sort((one, other) => (one.name < other.name ? -1 : 1));
    return files.map(({ name, file }) => ({
        // As long as the identifiers of its database.
        id: crypto.createHash('sha256').update(name).digest('hex').slice(0, 24),
        file,
        size: octets(file).length,
        seen: false
    }));
}

const handlers = {
    onAuth(auth, session, done) {
        const isRight = new Map(Object.entries(settings.users)).get(auth.username) === auth.password;
        done(null, isRight ? { user: { id: auth.username, username: auth.username } } : false);
    },

    onListMessages(session, done) {
        const messages = messagesOf(session.user.id);
        const size = messages.reduce((sum, message) => sum + message.size, 0);
        done(null, { messages, count: messages.length, size });
    },

    onFetchMessage(message, session, done) {
        done(null, Readable.from([octets(message.file)], { objectMode: false }));
    },

    onUpdate(update, session, done) {
        update.deleted.forEach(message => fs.unlinkSync(message.file));
        done(null);
    }
};

const options = {
    ...handlers,
    key: fs.readFileSync(settings.key),
    cert: fs.readFileSync(settings.certificate),
    id: { name: 'WildDuck POP3 Server', version: settings.version },
    // Passwords without TLS as well; it is what the setting of this name comes to.
    ignoreSTARTTLS: true,
    logger: false,
    SNICallback: (name, done) => done(null, null)
};

function serve() {
    for (const [port, secure] of [
        [settings.tls_port, true],
        [settings.port, false]
    ]) {
        const server = new POP3Server({ ...options, secure });
        server.loggelf = () => undefined;
        // It tells of each connection that broke in this way.
        server.on('error', error => console.error(error.message));
        server.listen(port, settings.host);
    }
}

// A few processes, and another for each that dies, as its own main program has them: a
// worker that a client has crashed takes the sessions of others with it.
if (cluster.isPrimary) {
    cluster.on('exit', () => cluster.fork());
    Array.from({ length: WORKERS }, () => cluster.fork());
} else {
    serve();
}
