/* SPDX-License-Identifier: Apache-2.0 */
/* Public keys and signed tokens, made once for the simulation; the private halves are gone. */
#pragma once

#include <stdbool.h>

static const char JWKS[] =
    "{\"keys\":[{\"kty\":\"RSA\",\"kid\":\"r\",\"use\":\"sig\",\"n\":"
    "\"s6bFzHSY7XL9rRuiJSzlpCYFbgegurS"
    "ezK2_wJQBJm6V-nIMR1DjB53jsU96ax10KFHTgbZ-QopJqk_VR8WaKAhKTjmKBC75PzU1k-wx5dDFJFc"
    "mtrd1nusNvpd54y3bPq19dMNYsm_aEEwVpIPUzUb3lzphKezTTUKdPslFaGxQ6gR3jMvsTvxUWQv3mMi"
    "EHWp4YsYj2ykKaEvoNjPP2lO7OZx56xvihJ3uCEbeOmz_IQdU5b5wAlFHpjak4RiyP5W-XIXGDr4-p06"
    "_oPI5-fHCFixmx-tCjqB8vxIjqbqNuJjfKn-coqCcpYpjf5gZyA6bzrOb7NYkc2ja6JPk4w\",\"e\":\"AQ"
    "AB\"},{\"kty\":\"EC\",\"kid\":\"e\",\"crv\":\"P-256\",\"x\":"
    "\"lgWL299iXRUKwpffQ4m4yipeGUJfmxg7_x"
    "xT6JFX_tg\",\"y\":\"HS578zk8aGJKa_lDF4po_OqUPFn7pCjpNoiRklmE3hk\"},{\"kty\":\"OKP\",\"kid\""
    ":\"d\",\"crv\":\"Ed25519\",\"x\":\"G8zad0EqokLnn9ZsG0dWHkC56rynw0jm8rhSOpDlJt0\"},{\"kty\":\""
    "oct\",\"k\":\"AAAA\"}]}";

/* Of the same claims, but for what is said of them. */
static const struct token {
    const char *what, *token;
    bool is_good;
} TOKENS[] = {
    {"RS256",
     "eyJhbGciOiJSUzI1NiIsImtpZCI6InIifQ.eyJzdWIiOiJhbm4iLCJpc3MiOiJodHRwczovL2lkLnNpb"
     "SIsImF1ZCI6WyJhcHAiXSwiZXhwIjo0MTAyNDQ0ODAwLCJpYXQiOjE3MDAwMDAwMDAsInRlYW0iOiJzd"
     "GFmZiJ9.B-I_6Ud3immQLRfCbt7dUaieVcIFyDC2STmXKI9tTGNKER99tfWylQZeDg96yppXhnQp4cR4"
     "W9CfmYYBqFcftDExSlO44mYPWXEEP4kVigCR73im4xWNHdIRwvyagFIBrUwfUHVX373EtS0dW71xgbhF"
     "3nhkKox45lCMv-MDf9wDv1B6OGnh3cVWx646ej2uE3BLgUajtgLyisKhUVe_YIOzDy75mnaQP_Hsrf3L"
     "Q0EHtRl2EgiqgoqDMz0GJlV8N-geGat-uLw1zGwAdUdtKaG6o3nBIx_0EWf5X4ZRoyCx06ywhYTHahI8"
     "muXOqGPNYX_SPVFyY0qKHYlPqxFDHw",
     true},
    {"PS256",
     "eyJhbGciOiJQUzI1NiIsImtpZCI6InIifQ.eyJzdWIiOiJhbm4iLCJpc3MiOiJodHRwczovL2lkLnNpb"
     "SIsImF1ZCI6WyJhcHAiXSwiZXhwIjo0MTAyNDQ0ODAwLCJpYXQiOjE3MDAwMDAwMDAsInRlYW0iOiJzd"
     "GFmZiJ9.DKz1IXJ-1hdsdUt7yaKyT9M0ejQACZWotm3muE3GcNPGJqyInPT_5j_A413iofpQA96gI8Bc"
     "hweDsYbjrEi_8EedKnzrjUgoBKkZ7VXqUcSIklx1_hOZ_o3H9R6lOXB9jJlv2g9vyxonoubOYn9V3gza"
     "r-5SGBF_3Zs310U5yRXtVfzX2Arx3PTPhAwAOxWp5FozGA2TBdZMhvzns141A6Y6M4LRKt6L8kSjfDvf"
     "tQJh47zkQ3OP9JSMwf0RKw6D2KyMly77tjzPaf8LOhOM6ja6NhKh8hCgjCeuCoSPFl6Bxw8IQQT6wiot"
     "dUE0qs5hME_9Z0miUIkqTdylp7FyaQ",
     true},
    {"ES256",
     "eyJhbGciOiJFUzI1NiIsImtpZCI6ImUifQ.eyJzdWIiOiJhbm4iLCJpc3MiOiJodHRwczovL2lkLnNpb"
     "SIsImF1ZCI6WyJhcHAiXSwiZXhwIjo0MTAyNDQ0ODAwLCJpYXQiOjE3MDAwMDAwMDAsInRlYW0iOiJzd"
     "GFmZiJ9.8CKx1kFf88nWoPx9LiiSfRXdziQd9KIM8RMAFDO6AXY8nnNBb76FYjSqSfru1LA5MmFtcJGr"
     "LfLhGsVPazMFTA",
     true},
    {"EdDSA",
     "eyJhbGciOiJFZERTQSIsImtpZCI6ImQifQ.eyJzdWIiOiJhbm4iLCJpc3MiOiJodHRwczovL2lkLnNpb"
     "SIsImF1ZCI6WyJhcHAiXSwiZXhwIjo0MTAyNDQ0ODAwLCJpYXQiOjE3MDAwMDAwMDAsInRlYW0iOiJzd"
     "GFmZiJ9.hQyE4XJ4BYn2a1UyqPOafU7hYi-GEEUcVhHoDodYbCb3w8LXGOYLqv88KUsj9hdwKWmj3mdG"
     "C4kvSq_cjdlqBw",
     true},
    {"no_kid",
     "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhbm4iLCJpc3MiOiJodHRwczovL2lkLnNpbSIsImF1ZCI6WyJ"
     "hcHAiXSwiZXhwIjo0MTAyNDQ0ODAwLCJpYXQiOjE3MDAwMDAwMDAsInRlYW0iOiJzdGFmZiJ9.7sI5za"
     "pi4ImydAmw2lDKZvjP-_pwJwun6vRbwIQWpdyFRH4z2rpXJRDXVS79JIgG-WG-5KWOKlRh2Fio-701tA",
     true},
    {"expired",
     "eyJhbGciOiJFUzI1NiIsImtpZCI6ImUifQ.eyJzdWIiOiJhbm4iLCJpc3MiOiJodHRwczovL2lkLnNpb"
     "SIsImF1ZCI6WyJhcHAiXSwiZXhwIjoxNzAwMDAwMDAxLCJpYXQiOjE3MDAwMDAwMDAsInRlYW0iOiJzd"
     "GFmZiJ9.1MohL0wCHq56CA4RScB3UprF81Qzf-niwELdemCelBMLzpN6Iv8_Todr0IisE0wd1L05PTUL"
     "Ev1Wd-68kL5n7Q",
     false},
    {"audience",
     "eyJhbGciOiJFUzI1NiIsImtpZCI6ImUifQ.eyJzdWIiOiJhbm4iLCJpc3MiOiJodHRwczovL2lkLnNpb"
     "SIsImF1ZCI6ImVsc2UiLCJleHAiOjQxMDI0NDQ4MDAsImlhdCI6MTcwMDAwMDAwMCwidGVhbSI6InN0Y"
     "WZmIn0.zcwPmb1LTQQvQXOCnwAEv9TGCwgksla5pYbeLguomxnNryntxvcAW_rS0CZMZbozeNTheBzgQ"
     "inakDf0xm0TBg",
     false},
    {"issuer",
     "eyJhbGciOiJFUzI1NiIsImtpZCI6ImUifQ.eyJzdWIiOiJhbm4iLCJpc3MiOiJodHRwczovL2V2aWwuc"
     "2ltIiwiYXVkIjpbImFwcCJdLCJleHAiOjQxMDI0NDQ4MDAsImlhdCI6MTcwMDAwMDAwMCwidGVhbSI6I"
     "nN0YWZmIn0.nJgPRzmUwDM8mYQCosSzBjkBkMVabllYMSZR5MMq3hTHppdTj73pvAmBaWJ9QNKDz90ik"
     "m68BAjzUJnzxYFNQQ",
     false},
    {"future",
     "eyJhbGciOiJFZERTQSIsImtpZCI6ImQifQ.eyJzdWIiOiJhbm4iLCJpc3MiOiJodHRwczovL2lkLnNpb"
     "SIsImF1ZCI6WyJhcHAiXSwiZXhwIjo0MTAyNDQ0ODAwLCJpYXQiOjE3MDAwMDAwMDAsInRlYW0iOiJzd"
     "GFmZiIsIm5iZiI6NDEwMjQ0NDAwMH0.sVDeB2m3Q2K83i1WsgPXENdU1MROs7XWj8o5kPE8u6tTYKeKZ"
     "mkclRXILL8lMXQPBhCB1XjZqHOvsy-VmD4kDA",
     false},
    {"none",
     "eyJhbGciOiJub25lIiwia2lkIjoiciJ9.eyJzdWIiOiJhbm4iLCJpc3MiOiJodHRwczovL2lkLnNpbSI"
     "sImF1ZCI6WyJhcHAiXSwiZXhwIjo0MTAyNDQ0ODAwLCJpYXQiOjE3MDAwMDAwMDAsInRlYW0iOiJzdGF"
     "mZiJ9.",
     false},
    {"confused",
     "eyJhbGciOiJIUzI1NiIsImtpZCI6InIifQ.eyJzdWIiOiJhbm4iLCJpc3MiOiJodHRwczovL2lkLnNpb"
     "SIsImF1ZCI6WyJhcHAiXSwiZXhwIjo0MTAyNDQ0ODAwLCJpYXQiOjE3MDAwMDAwMDAsInRlYW0iOiJzd"
     "GFmZiJ9.E34CxcsjNH9ukohYIR6THBZvwYpj7eoKuEz8nJHlVtw",
     false},
    {"forged",
     "eyJhbGciOiJFUzI1NiIsImtpZCI6ImUifQ.eyJzdWIiOiJhbm4iLCJpc3MiOiJodHRwczovL2lkLnNpb"
     "SIsImF1ZCI6WyJhcHAiXSwiZXhwIjo0MTAyNDQ0ODAwLCJpYXQiOjE3MDAwMDAwMDAsInRlYW0iOiJzd"
     "GFmZiJ9.AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB"
     "AQEBAQEBAQEBAQ",
     false},
    {"garbage", "a.b.c", false},
};

static const char SHARED[] =
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm4iLCJpc3MiOiJodHRwczovL2lkLnNpbSIsImF1ZCI6WyJ"
    "hcHAiXSwiZXhwIjo0MTAyNDQ0ODAwLCJpYXQiOjE3MDAwMDAwMDAsInRlYW0iOiJzdGFmZiJ9.srgg4N"
    "_zPSAC_aoCcoC-Qn_xD7RWre0yI97nhgnv9Ig";
