// SPDX-License-Identifier: Apache-2.0
// A gRPC server of raw bytes: all four kinds of calls. Says the port it got on its standard output.
// Over TLS with a certificate: node grpc_server.js CHAIN KEY.
'use strict';
const grpc = require('@grpc/grpc-js');

const fs = require('fs');

const same = (bytes) => bytes;
const [chain, key] = process.argv.slice(2).map((file) => fs.readFileSync(file));
const credentials = chain
    ? grpc.ServerCredentials.createSsl(null, [{ cert_chain: chain, private_key: key }])
    : grpc.ServerCredentials.createInsecure();
function method(name, requestStream, responseStream) {
    return { path: `/test.Echo/${name}`, requestStream, responseStream,
        requestSerialize: same, requestDeserialize: same,
        responseSerialize: same, responseDeserialize: same };
}

const waiting = { count: 0 };
const cancelled = { count: 0 };
const server = new grpc.Server({ 'grpc.max_receive_message_length': -1,
    'grpc.max_send_message_length': -1 });
server.addService({
    unary: method('Unary', false, false), collect: method('Collect', true, false),
    spread: method('Spread', false, true), talk: method('Talk', true, true),
    wait: method('Wait', false, false), fail: method('Fail', false, false),
    cancelled: method('Cancelled', false, false), waiting: method('Waiting', false, false),
}, {
    unary(call, done) {
        const back = new grpc.Metadata();
        back.set('x-trailing', call.metadata.get('x-token').join(','));
        done(null, call.request, back);
    },
    collect(call, done) {
        let size = 0;
        call.on('data', (data) => { size += data.length; });
        call.on('end', () => done(null, Buffer.from(String(size))));
        call.on('error', () => {});
    },
    spread(call) {
        const count = Number(call.request.toString());
        for (let i = 0; i < count; i++) {
            call.write(Buffer.from(`piece ${i}`));
        }
        call.end();
    },
    talk(call) {
        call.on('data', (data) => call.write(Buffer.concat([Buffer.from('re:'), data])));
        call.on('end', () => call.end());
        call.on('error', () => {});
    },
    wait(call) {
        waiting.count++;
        call.on('cancelled', () => { cancelled.count++; });
    },
    fail(call, done) {
        done({ code: grpc.status.ALREADY_EXISTS, details: 'there is one: 100 %' });
    },
    cancelled(call, done) {
        done(null, Buffer.from(String(cancelled.count)));
    },
    waiting(call, done) {
        done(null, Buffer.from(String(waiting.count)));
    },
});
server.bindAsync('127.0.0.1:0', credentials, (error, port) => {
    if (error) {
        throw error;
    }
    console.log(port);
});
