// SPDX-License-Identifier: Apache-2.0
// gRPC calls of every kind: node grpc_client.js HOST:PORT NAME…; says what each came to as JSON.
// Over TLS where $CA names the authority's certificate.
'use strict';
const grpc = require('@grpc/grpc-js');

const fs = require('fs');

const same = (bytes) => bytes;
const credentials = process.env.CA
    ? grpc.credentials.createSsl(fs.readFileSync(process.env.CA))
    : grpc.credentials.createInsecure();
const client = new grpc.Client(process.argv[2], credentials, {
    'grpc.max_receive_message_length': -1, 'grpc.max_send_message_length': -1,
    ...(process.env.CA ? { 'grpc.ssl_target_name_override': process.env.AUTHORITY } : {}),
    'grpc.default_authority': process.env.AUTHORITY || 'app.test' });

function unary(name, bytes, options = {}, metadata = new grpc.Metadata()) {
    return new Promise((resolve) => {
        let trailing;
        const call = client.makeUnaryRequest(`/test.Echo/${name}`, same, same, bytes, metadata,
            options, (error, value) => setImmediate(() => resolve({
                code: error ? error.code : 0, details: error ? error.details : '', value,
                trailing, call })));
        call.on('status', (status) => { trailing = status.metadata.get('x-trailing')[0]; });
        if (options.started) {
            options.started(call);
        }
    });
}
function ended(stream) {
    return new Promise((resolve) => {
        const pieces = [];
        stream.on('data', (data) => pieces.push(data.toString()));
        stream.on('error', () => {});
        stream.on('status', (status) => resolve({ code: status.code, pieces }));
    });
}

// What the server has counted, once that is as it should be.
async function counted(name, isEnough) {
    for (let i = 0; ; i++) {
        const { value } = await unary(name, Buffer.alloc(0));
        if (value && isEnough(Number(value.toString())) || i === 1200) {
            return value && Number(value.toString());
        }
        await new Promise((resolve) => setTimeout(resolve, 50));
    }
}

const tests = {
    async unary() {
        const metadata = new grpc.Metadata();
        metadata.set('x-token', 'abc');
        const { code, value, trailing } = await unary('Unary', Buffer.from('hello'), {}, metadata);
        return { code, value: value && value.toString(), trailing };
    },
    async collect() {
        return new Promise((resolve) => {
            const call = client.makeClientStreamRequest('/test.Echo/Collect', same, same,
                (error, value) => resolve({ code: error ? error.code : 0,
                    value: value && value.toString() }));
            for (let i = 0; i < 200; i++) {
                call.write(Buffer.alloc(1000, i));
            }
            call.end();
        });
    },
    async spread() {
        const call = client.makeServerStreamRequest('/test.Echo/Spread', same, same,
            Buffer.from('300'));
        const { code, pieces } = await ended(call);
        return { code, count: pieces.length, last: pieces[pieces.length - 1] };
    },
    async talk() {
        const call = client.makeBidiStreamRequest('/test.Echo/Talk', same, same);
        const result = ended(call);
        let turn = 0;
        call.write(Buffer.from('0'));
        call.on('data', () => { // each turn waits for the answer to the last
            turn++;
            if (turn < 50) {
                call.write(Buffer.from(String(turn)));
            } else {
                call.end();
            }
        });
        const { code, pieces } = await result;
        return { code, count: pieces.length, last: pieces[pieces.length - 1] };
    },
    async large() {
        const bytes = Buffer.alloc(16 * 1024 * 1024);
        for (let i = 0; i < bytes.length; i += 4096) {
            bytes.writeUInt32LE(i, i);
        }
        const { code, value } = await unary('Unary', bytes);
        return { code, same: Boolean(value) && value.equals(bytes) };
    },
    async cancel() {
        let call;
        const before = await counted('Waiting', () => true);
        const result = unary('Wait', Buffer.alloc(0), { started: (it) => { call = it; } });
        await counted('Waiting', (count) => count > before); // the server has it
        call.cancel();
        const { code } = await result;
        return { code, seen: await counted('Cancelled', (count) => count > 0) };
    },
    async deadline() {
        const started = Date.now();
        const { code } = await unary('Wait', Buffer.alloc(0), { deadline: started + 500 });
        return { code, ms: Date.now() - started };
    },
    async parallel() {
        const calls = [];
        for (let i = 0; i < 100; i++) {
            calls.push(unary('Unary', Buffer.from(`call ${i}`)));
        }
        const answers = await Promise.all(calls);
        return { right: answers.filter((a, i) => a.code === 0 &&
            a.value.toString() === `call ${i}`).length };
    },
    async fail() {
        const { code, details } = await unary('Fail', Buffer.alloc(0));
        return { code, details };
    },
    async unknown() {
        return { code: (await unary('Nothing', Buffer.alloc(0))).code };
    },
    async plain() {
        const { code, details } = await unary('Unary', Buffer.from('x'));
        return { code, details };
    },
};

(async () => {
    const results = {};
    for (const name of process.argv.slice(3)) {
        results[name] = await tests[name]();
    }
    console.log(JSON.stringify(results));
    client.close();
})();
