/* SPDX-License-Identifier: Apache-2.0 */
/* Keys of every kind and what they have signed, made once for the simulation as those of tokens.h.
 */
#pragma once

#include <stdbool.h>

/* Of use: r, e384, e521, d448. */
static const char KEYS_OF_KINDS[] =
    "{\"keys\":[{\"kty\":\"RSA\",\"kid\":\"r\",\"n\":\"3D9rtwCIrr8cvFBIw1hL3houz01elqxrwEFd"
    "F7cEp1_U_h9nkEgW5CuswmMAGE59A6eHZL8fKq-daeTwOVcMcaolRyzMryY2Zln_UR0Jnj9BJ51KLJw-QsyyzT"
    "k_kjnqNxCHkdffxZjYmVBfQQAx5NDIcPqoOHIE1G7dyNJfLA0ePxrMcpG8wfPevLNEsOzOnKZKkWi-tILjBxuE"
    "pIvmVSBUds3ZYXwvrBK1n4IdYS2ZwxccNrWHfbE2HKz6EPV3gd4oIKdy0PHAikeWTWQEkGsY8rZqKHoKy02k8i"
    "KIy5q86FhRnMr6r3Wepon-lby4uxk1MVxq2ABiwPZ73-sN9w\",\"e\":\"AQAB\",\"key_ops\":[\"sign"
    "\",\"verify\"]},{\"kty\":\"EC\",\"kid\":\"e384\",\"crv\":\"P-384\",\"x\":\"u06hMJrw63f"
    "C0aawGUyWK4CiW2Cx891zcj3QHVLCP6YgoaOfYUc8-MxJg1y5E-sd\",\"y\":\"M28rhUUhmOb-hgK72Phmnh"
    "1biuw2OWtVD8XsqpOsUcFrhtMWNTOw0-KeIw3TpQX9\"},{\"kty\":\"EC\",\"kid\":\"e521\",\"crv\""
    ":\"P-521\",\"x\":\"AcPXY2Cv8I0mCZlhwDRc-BC6Xtaav_XeCCpQPu1ZmK1iXampmLlD0DjAGPpFBD2nGwR"
    "MKticIkSrtRCaazKVkFQz\",\"y\":\"AERhs07B1_nE_rHYBV4jUzMEBLtEiwnUFKcuOTtVwbY7vTcHjPhvCl"
    "fSpIP5rlfLXyvrUk_yKCBK7wUxS34nApHP\",\"alg\":\"ES512\"},{\"kty\":\"OKP\",\"kid\":\"d44"
    "8\",\"crv\":\"Ed448\",\"x\":\"cmfpEad2b8U2bkavwavsPXpjLYmnMktirvQ29VpNCFyiRSHpHurdVebr"
    "l3cAc_wNMpSNo4zflQqA\",\"use\":\"sig\"},{\"kty\":\"RSA\",\"kid\":\"weak\",\"n\":\"rkr0"
    "qWcrfGqkvZj8YMvdFJOPAQf1B4UEfHmO52eBvI6He61lCP_5o6pQT59AeK7Y0e483ZcyqI1mZz0dEPRO2saVcO"
    "uzP2QB1HXaPx4MD3JcYdleicoD3-T-3BnKsvoMTeukjlv3qQ1XU_qV1PW15V31KVYUDXL5vj7gyRSQtWc\",\""
    "e\":\"AQAB\"},{\"kty\":\"EC\",\"kid\":\"enc\",\"crv\":\"P-256\",\"x\":\"qMRW42mUX0EqRo"
    "sPafVOaIwYdH2oNeo347QcEGBtxm8\",\"y\":\"3iDDG9TfxiUQmPQ16958Yy5qNxHI1XkfuRV-DqyBdDU\","
    "\"use\":\"enc\"},{\"kty\":\"EC\",\"kid\":\"ops\",\"crv\":\"P-256\",\"x\":\"qMRW42mUX0E"
    "qRosPafVOaIwYdH2oNeo347QcEGBtxm8\",\"y\":\"3iDDG9TfxiUQmPQ16958Yy5qNxHI1XkfuRV-DqyBdDU"
    "\",\"key_ops\":[\"sign\"]},{\"kty\":\"EC\",\"kid\":\"what\",\"crv\":\"P-256\",\"x\":\""
    "qMRW42mUX0EqRosPafVOaIwYdH2oNeo347QcEGBtxm8\",\"y\":\"3iDDG9TfxiUQmPQ16958Yy5qNxHI1Xkf"
    "uRV-DqyBdDU\",\"alg\":\"XS256\"},{\"kty\":\"EC\",\"kid\":\"pinned\",\"crv\":\"P-256\","
    "\"x\":\"qMRW42mUX0EqRosPafVOaIwYdH2oNeo347QcEGBtxm8\",\"y\":\"3iDDG9TfxiUQmPQ16958Yy5q"
    "NxHI1XkfuRV-DqyBdDU\",\"alg\":\"ES384\"},{\"kty\":\"EC\",\"kid\":\"off\",\"crv\":\"P-2"
    "56\",\"x\":\"qMRW42mUX0EqRosPafVOaIwYdH2oNeo347QcEGBtxm8\",\"y\":\"AAAAAAAAAAAAAAAAAAA"
    "AAAAAAAAAAAAAAAAAAAAAAAU\"},{\"kty\":\"EC\",\"kid\":\"k1\",\"crv\":\"secp256k1\",\"x\""
    ":\"r63VrH0GmCSZPa9NOXEZQ6fhyrNxGmliipff7uY0Rmo\",\"y\":\"R5qe1T3bP3FBzl4Ao54hFQEHN63BA"
    "a1A2rkfLIYs7M4\"},{\"kty\":\"OKP\",\"kid\":\"x\",\"crv\":\"X25519\",\"x\":\"AAAAAAAAAA"
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"},{\"kty\":\"OKP\",\"kid\":\"short\",\"crv\":\"Ed25"
    "519\",\"x\":\"AAAA\"},{\"kty\":\"RSA\",\"kid\":\"empty\",\"n\":\"\",\"e\":\"AQAB\"},{"
    "\"kty\":\"what\",\"kid\":\"w\"}]}";

static const char KEYS_OLD[] =
    "{\"keys\":[{\"kty\":\"EC\",\"kid\":\"old\",\"crv\":\"P-256\",\"x\":\"qMRW42mUX0EqRosPa"
    "fVOaIwYdH2oNeo347QcEGBtxm8\",\"y\":\"3iDDG9TfxiUQmPQ16958Yy5qNxHI1XkfuRV-DqyBdDU\"}]}";

static const char KEYS_NEW[] =
    "{\"keys\":[{\"kty\":\"EC\",\"kid\":\"new\",\"crv\":\"P-256\",\"x\":\"4GG7EOb96Sw1NoTDy"
    "Odna8m3P6bPyjA81EQXHjknfwE\",\"y\":\"VwafEqQGF3HeugOny29Nfp0vpKBTUQ8H-8sOJo8FvP4\"}]}";

static const char KEY_PEM[] =
    "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEqMRW42mUX0EqRosPafVOaI"
    "wYdH2o\nNeo347QcEGBtxm/eIMMb1N/GJRCY9DXr3nxjLmo3EcjVeR+5FX4OrIF0NQ==\n-----END PUBLIC "
    "KEY-----\n";

static const char KEY_CERTIFICATE[] =
    "-----BEGIN CERTIFICATE-----\nMIIBDjCBtaADAgECAgEHMAoGCCqGSM49BAMCMBExDzANBgNVBAMMBmlkL"
    "nNpbTAe\nFw0yNjAxMDEwMDAwMDBaFw0zNjAxMDEwMDAwMDBaMBExDzANBgNVBAMMBmlkLnNp\nbTBZMBMGByq"
    "GSM49AgEGCCqGSM49AwEHA0IABOBhuxDm/eksNTaEw8jnZ2vJtz+m\nz8owPNREFx45J38BVwafEqQGF3HeugO"
    "ny29Nfp0vpKBTUQ8H+8sOJo8FvP4wCgYI\nKoZIzj0EAwIDSAAwRQIhAMKVRZ6jJMo7MKkIAChnV6LHyHFh8z0"
    "K896m1L0TfGx4\nAiAYdQ+yo723uxpnAfqmd4HA8XrQ7353in5MJgsTKH7YVQ==\n-----END CERTIFICATE-"
    "----\n";

static const char KEY_WEAK[] =
    "-----BEGIN PUBLIC KEY-----\nMIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQCuSvSpZyt8aqS9mPxgy9"
    "0Uk48B\nB/UHhQR8eY7nZ4G8jod7rWUI//mjqlBPn0B4rtjR7jzdlzKojWZnPR0Q9E7axpVw\n67M/ZAHUddo/"
    "HgwPclxh2V6JygPf5P7cGcqy+gxN66SOW/epDVdT+pXU9bXlXfUp\nVhQNcvm+PuDJFJC1ZwIDAQAB\n-----E"
    "ND PUBLIC KEY-----\n";

static const char TOKEN_OLD[] =
    "eyJhbGciOiJFUzI1NiIsImtpZCI6Im9sZCJ9.eyJzdWIiOiJhbm4iLCJleHAiOjQxMDI0NDQ4MDB9.kcOR5nK9"
    "d_cUwlBSjCPNv9lNxAA-hi0MEpXdxezPVn0ESSkVBkCVAM9GzT8KVKaaE5rnPMO54B0frZS80sqUhg";

static const char TOKEN_NEW[] =
    "eyJhbGciOiJFUzI1NiIsImtpZCI6Im5ldyJ9.eyJzdWIiOiJhbm4iLCJleHAiOjQxMDI0NDQ4MDB9.WUa5bIco"
    "GrT97BRkq2K7O6EeN2TJkXsAsbTD1MGP8_K_h5RxxCiAhHlI92ZgK4CyZGR76bGi7YtZihdWMGh33w";

static const char TOKEN_STRANGE[] =
    "eyJhbGciOiJFUzI1NiIsImtpZCI6InN0cmFuZ2UifQ.eyJzdWIiOiJhbm4iLCJleHAiOjQxMDI0NDQ4MDB9.rE"
    "Y4ReAwHUchC9TfLfNIAn5FEu0P9R_ohC_7jtYUo9oVHI9mKvp2xLPbIhulxTaekz3xoOXGW2GOzgna_pf82g";

/* By which key it is to be verified, and whether it is good. */
static const struct kind_of_token {
    const char *way, *token;
    bool is_good;
} KINDS_OF_TOKENS[] = {
    {"/set",
     "eyJhbGciOiJSUzI1NiIsImtpZCI6InIifQ.eyJzdWIiOiJhbm4iLCJleHAiOjQxMDI0NDQ4MDB9.gmW7HOB-TH"
     "ZWGBgbPX-XPrbjq0NY57orVSLd6VsPNUTb1uM3Ggz8kMrZ-LToonLmt9Jyd-GJvy2q1lTO24-Gd3IpPGamScnH"
     "9uZySEWwSMVveLRDBn32uoEN4IYBZa5BQYkGkzXD2sVCn7M50vc3WV-QqSV1qxQOAFnQCIMFaE0GiD_IgLFdiv"
     "SZL8Q8hYPzB9NlOanXeGq7caRFoHkuOcnO7FhBeRhSCLoxmcLbGW2WwjgqXt__UwOLh1ZuQXCrhMVoDkLKUnDp"
     "Nr3sSo2RwAWj8FXeFOSvjQa9NJz6dT7YozlHYMdZUX3VXHgtIMhP1CoC-liYiaz3AGqoIx5b9Q",
     true},
    {"/set",
     "eyJhbGciOiJSUzM4NCIsImtpZCI6InIifQ.eyJzdWIiOiJhbm4iLCJleHAiOjQxMDI0NDQ4MDB9.pd5jD3r3QA"
     "Tw5C5rCZlrbOud5j0Vtm0bQcRnRXwbTpPgVdINtkl_BzntsGL09b4Tc6C7qNiGtlu8PRfkzLSSJIBPEQw0VOnz"
     "KPrGQnDWqZTYdZx0dtXwR1GnfvDd_9Ku2R71k5EZlYTjg58r8bg1jrhpMetEhPH9YtASDRXl2QH9O-upudNK9G"
     "1tMvXWHFVIThel6lX4rVoEkQXfx8iP3M3-uSTFtTgnVo5aj3LzpmvBDh6Z9cAvB26pxKtwgS3x4Occ57f4JIWN"
     "itVCkRAAsfv_kY9K4cmXpF07hEWDfrimotZ2OxQhCH584vqnVIpztTBCiIX440M4BFZivRaHLg",
     true},
    {"/set",
     "eyJhbGciOiJSUzUxMiIsImtpZCI6InIifQ.eyJzdWIiOiJhbm4iLCJleHAiOjQxMDI0NDQ4MDB9.uYdAO-ONxl"
     "t--qfq1V2SypB2Pv4XShhyBAtYWT__m8zNUwn9GZ4twpaA151kDJNs4Zu3b3IO--JB6BYc8n8-wU2D910zKfPP"
     "l5EmpWtfi9qo5bGq-5H2EDU12vkVBtYwhWkGO_cjC1TvyxTl8Vpb1XJtQfIYQh6SxdK2oQtiiuHrGUem1I7Cz_"
     "2GQPhNkTd5zySWji37PNWRwhyMNrb2o_hqVpJy5UGMrCiw40CUzFV9v8UjRQztLR1IRHu9IApe87kiX3LYhKjf"
     "-SlOGd_nFv0OKXLLcBFby_oXojZPU5Go5sW4mdAQWc_LVOUyJ_1kkKM46Mv0m7n7DtzZkxlNbg",
     true},
    {"/set",
     "eyJhbGciOiJQUzM4NCIsImtpZCI6InIifQ.eyJzdWIiOiJhbm4iLCJleHAiOjQxMDI0NDQ4MDB9.Wk49B4foLt"
     "m5HZ93ImWLesTFT5p9JPmUpq7-NxNxltSeVY87SukskCo3NgR5_7pNbv7rh9DY0XHV3Dl0SeIjEN6wBZC1S4en"
     "1dsKXZV7RzlOl0pPBDmtvIi-X96mqKCGMPGaEQvAMgV18VKihggN4kAt5bdp8nt8nJb4eyvIDATAFMWhpSaAma"
     "3kCq1wvcgwBpGEGs1DWPE2oWi-n8QlAqVq0su1N33x6_5HzmY2K8qLq_95_pPstL6cLlF92SYEeZG36QjXZHdo"
     "w1-4p67VnVGidZcdKEpU3ibgKJN4wlWqbEWst1FHJqsCZ_wHEEhAYpCWYktqn7W5ZI2JWqKliw",
     true},
    {"/set",
     "eyJhbGciOiJQUzUxMiIsImtpZCI6InIifQ.eyJzdWIiOiJhbm4iLCJleHAiOjQxMDI0NDQ4MDB9.ODeEqk9fK1"
     "d2xMvEBeCeNiDbH14cmehAnC4mTl9-FkDnZUoFgnLTswPWEwq62GkfXB1jMz_0kfDM3ApPMeOJgUP9SITxDXvP"
     "BYoP9--rVelrnN9K8p8Q9-ZI6Cjvy4hUa_QlWHTkCeYHDZ9dZ8Uhxa8jVIsIXrSLgxdLDoonFF0VZFu_VEt0pM"
     "QGNpoIJQ_ZFmc-79j-bcYCEOzpP_wC0nD-h7z5623EOMtIOmSeydiy5l-EZOM3wcZ3d5i4V1EEi2AOlO39cnGp"
     "7dpCKAm-t6aVcXECRt8qoqp9ztM2N8kfFFszwmZRcV5cB3qoxhPGnVMGWvuv1oZH74tWpMrpAA",
     true},
    {"/set",
     "eyJhbGciOiJFUzM4NCIsImtpZCI6ImUzODQifQ.eyJzdWIiOiJhbm4iLCJleHAiOjQxMDI0NDQ4MDB9.KvNqGW"
     "wn1wsqU7EXZij_iIVx1FCyx7jI_S_3zBsMWLyJ__--3Fi8W-v-xa2rq4W-SFAHQj6NengfPEEnOdOLLv2rfASC"
     "8VWRerQVvcqSroI_F-Wk1DyLmw_F3-i_zBNo",
     true},
    {"/set",
     "eyJhbGciOiJFUzUxMiIsImtpZCI6ImU1MjEifQ.eyJzdWIiOiJhbm4iLCJleHAiOjQxMDI0NDQ4MDB9.AUKkM0"
     "o32R_73HEdGfGmR9SrWjiSMBCTUoQgPnQljfsbqn8LvHdA9ttvAbi6WVghMWz1glVrsBrPmEI-G6CJcQJ-AZy7"
     "7HB21xtpkA2wz1T-blbCX5_XIqe9prTBQdPHxnGlLAvvJdmF0UvDjNZvSxTaGQOnk9AP2ZT32xUxTu5r7OC7",
     true},
    {"/set",
     "eyJhbGciOiJFZERTQSIsImtpZCI6ImQ0NDgifQ.eyJzdWIiOiJhbm4iLCJleHAiOjQxMDI0NDQ4MDB9.cU-kw0"
     "aOKw4KFTgbW5Vj0wTbf5yI-H92mQOaWEL1fIsaX5Jvzl-CtXjqBMaPlNtT_4V0Nc3vMneAI9JoPSovzpF5HwUL"
     "P1nEnPaCZvDifCgWDlkx7GMVxTLTo3gv6C1x5c290wQV8ceZmSmRoW4djicA",
     true},
    {"/set",
     "eyJhbGciOiJFUzM4NCJ9.eyJzdWIiOiJhbm4iLCJleHAiOjQxMDI0NDQ4MDB9.vVwyxkWWPTDKsRZTKwTsJ0Jv"
     "2s6310L_-gb5U-cxLE-eAclCwsvPOO6OxQ6eUnAmTxf2AzNJ_Onl_3YId9yi0GkORZj3qBYKv-Y6Orj5tao52M"
     "fVqJrP8WjxraNO_pnD",
     true},
    {"/pem",
     "eyJhbGciOiJFUzI1NiIsImtpZCI6IndoYXRldmVyIn0.eyJzdWIiOiJhbm4iLCJleHAiOjQxMDI0NDQ4MDB9.k"
     "OmJoKbsTZus7gJAmk4wV-93f2-f-zFnAaW7yNe3AD_rCCrBUws-qohEw5zO_4TEPcfNJGnkkz6Jdi_cJUomEQ",
     true},
    {"/certificate",
     "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhbm4iLCJleHAiOjQxMDI0NDQ4MDB9.VcFmlWzIHx8YtbCJx0ywNsqQ"
     "MBptDu1s6Bj-dz4M2ImANZ9ytpoyNiyZA1PD2CsiSZIFtkCpHrV_jnOK3PEaiw",
     true},
    {"/secret",
     "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm4iLCJleHAiOjQxMDI0NDQ4MDB9.C8mKVILCCg-CpRZlJ7EIkmGl"
     "84MW80wLY2c9-zClkL4",
     true},
    {"/secret",
     "eyJhbGciOiJIUzM4NCJ9.eyJzdWIiOiJhbm4iLCJleHAiOjQxMDI0NDQ4MDB9.DJrnH78iKjVTW9vmmAmWrfF0"
     "Qd8JwTcKYOqQQxLaRbUqFwaHYs4YvxexBnJ7zqZi",
     true},
    {"/secret",
     "eyJhbGciOiJIUzUxMiJ9.eyJzdWIiOiJhbm4iLCJleHAiOjQxMDI0NDQ4MDB9.-sOIcJG4bvuXNA2rg42Y-nx4"
     "ySEz-TovXu24UEFTUXFoUhul58cJL45kzTfaova3Q6HktIbCzacggFa5qxABJQ",
     true},
    {"/only",
     "eyJhbGciOiJFUzM4NCIsImtpZCI6ImUzODQifQ.eyJzdWIiOiJhbm4iLCJleHAiOjQxMDI0NDQ4MDB9.IeKc11"
     "NIwHeUTTBP66o9QlrD6PMqbdwKzKOH7m5Q8Q8XTiXjLWGWvxWTbA9eDQ8FmdfJRhDrGdNxNgENQwJr4uQGvxBp"
     "xTW2_BHy5R7zzFZic16j1V5YOYZ8Vm2cIVN9",
     true},
    {"/set",
     "eyJhbGciOiJFUzI1NiIsImtpZCI6ImVuYyJ9.eyJzdWIiOiJhbm4iLCJleHAiOjQxMDI0NDQ4MDB9.eJA2JxPz"
     "bS4XA1_uVS_LaUCUZ8waPFJJ4p7Dpq5lrhyXz3iUTqWAxTHy9lzmQCOrzlzjMXiTrg0d7nLeZq4u8Q",
     false},
    {"/set",
     "eyJhbGciOiJFUzI1NiIsImtpZCI6Im9wcyJ9.eyJzdWIiOiJhbm4iLCJleHAiOjQxMDI0NDQ4MDB9.0hRictxh"
     "73LbXwDZ0oGFnuHHEyWdzRK-sT53Yz-6OpYFvamQd91VIDs5bTLs6_mku0qvpZgv-MhbuAW7L4Y82g",
     false},
    {"/set",
     "eyJhbGciOiJFUzI1NiIsImtpZCI6IndoYXQifQ.eyJzdWIiOiJhbm4iLCJleHAiOjQxMDI0NDQ4MDB9.MklXPt"
     "6S8W1TXVfwubPvgapRz8LcW8NWKlBBrhGmWdeSnFDQARVM8jMTzTrAGJrZGBSKIeSE9bxfQoGSOvdYlA",
     false},
    {"/set",
     "eyJhbGciOiJFUzI1NiIsImtpZCI6InBpbm5lZCJ9.eyJzdWIiOiJhbm4iLCJleHAiOjQxMDI0NDQ4MDB9.Z5eS"
     "OGBqqsR_QTSN74MBjg8PQgm7MtxiyyROq8dJiWuGzFPBHKGpBOS5z2xOi5t27rQcjihu5AGi-R8-YDKHWQ",
     false},
    {"/set",
     "eyJhbGciOiJFUzI1NiIsImtpZCI6Im9mZiJ9.eyJzdWIiOiJhbm4iLCJleHAiOjQxMDI0NDQ4MDB9.EnWeg_qb"
     "s0urmn-R-yGeMbKtxYlMhse8e2kHkSkpacGMlsVDYCBsk_e9_cR2t2qRaYsqxoWqzlL3_ZLlsMLxVQ",
     false},
    {"/set",
     "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhbm4iLCJleHAiOjQxMDI0NDQ4MDB9.LfaW74L2-0pfp8ynulu_KHI2"
     "yg5rnUPiksB4gHeFGKPonymf6uYYr2hXXqedyoDVyyaaQDo5EebxPJOMTh1SSw",
     false},
    {"/set",
     "eyJhbGciOiJSUzI1NiIsImtpZCI6IndlYWsifQ.eyJzdWIiOiJhbm4iLCJleHAiOjQxMDI0NDQ4MDB9.HJzY7t"
     "cO-tw_8oRGAYOda6nLfiD7e_p0WgONWt9hfoAHuIrL1mVX6gcBzWM6lzqOx2ClqbRRgiAUUZXvlW_sv3018IB1"
     "hqaYsTnbT5_FxwrSMoxKeXj8zBRu1LfUdM3w7ViuK7z4PnYjx9LSGqp5ttvE3ceCRYd8-yQf4PBWHwI",
     false},
    {"/set",
     "eyJhbGciOiJFZERTQSIsImtpZCI6ImQ0NDgifQ.eyJzdWIiOiJhbm4iLCJleHAiOjQxMDI0NDQ4MDB9.3PFrZ5"
     "QT2R50SfMWbdkXzdNUWDBIZ60NX9cwe82XxZrOEHSEwUxcxnnN5x4XvqXmrQmAi8v7iAwWVgf8l4WzCw",
     false},
    {"/set",
     "eyJhbGciOiJFUzM4NCIsImtpZCI6ImU1MjEifQ.eyJzdWIiOiJhbm4iLCJleHAiOjQxMDI0NDQ4MDB9.HSRuZS"
     "8MDmyxj69O_mCQmJG99SalGaUpAfjOhl9sbvgtpRde5BsxfFJ7oxyGZIZtwORRvVSaoVypoh5gIbjZuKAP0G6n"
     "5rFsrtGuehxuaOFn3e9hg57J2MxOd8mohKZr",
     false},
    {"/pem",
     "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhbm4iLCJleHAiOjQxMDI0NDQ4MDB9.71txHKvtrOTM57iqcYtCOza5"
     "8EVeAwDTqdlD50zi076unlpdRNEVjq0qCE6qDL_DteCXrkFqOzm_rGDOXAnscA",
     false},
    {"/certificate",
     "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhbm4iLCJleHAiOjQxMDI0NDQ4MDB9.MzXU-Z5Qe14_aWV_I1ssLJuZ"
     "Ht8Cqa_j8FgLMev1yz7Ze6GA2q1nMJNiDgUCakwkUXCliDZF3l2X0_PYBA3iow",
     false},
    {"/secret",
     "eyJhbGciOiJIUzM4NCJ9.eyJzdWIiOiJhbm4iLCJleHAiOjQxMDI0NDQ4MDB9.8AB69zBgSo4dKGGBz3AJASbE"
     "nHiOaLWN__n-ds7IjR0Mye8Yi8zHIHgWL-QZTqLH",
     false},
    {"/only",
     "eyJhbGciOiJSUzI1NiIsImtpZCI6InIifQ.eyJzdWIiOiJhbm4iLCJleHAiOjQxMDI0NDQ4MDB9.gmW7HOB-TH"
     "ZWGBgbPX-XPrbjq0NY57orVSLd6VsPNUTb1uM3Ggz8kMrZ-LToonLmt9Jyd-GJvy2q1lTO24-Gd3IpPGamScnH"
     "9uZySEWwSMVveLRDBn32uoEN4IYBZa5BQYkGkzXD2sVCn7M50vc3WV-QqSV1qxQOAFnQCIMFaE0GiD_IgLFdiv"
     "SZL8Q8hYPzB9NlOanXeGq7caRFoHkuOcnO7FhBeRhSCLoxmcLbGW2WwjgqXt__UwOLh1ZuQXCrhMVoDkLKUnDp"
     "Nr3sSo2RwAWj8FXeFOSvjQa9NJz6dT7YozlHYMdZUX3VXHgtIMhP1CoC-liYiaz3AGqoIx5b9Q",
     false},
    {"/set",
     "eyJhbGciOiJFUzM4NCIsImtpZCI6ImUzODQiLCJjcml0IjpbIngiXX0.eyJzdWIiOiJhbm4iLCJleHAiOjQxMD"
     "I0NDQ4MDB9.wKRGywT9_v2jzCWgy5y1x7C86Y-3xr3VOrRMfWWJf51icWhB9eCJ0QPELKD5j8_nM_21OgC2XxD"
     "6JjjHW1K9kgT8sfrhYdeQbBm_T0rMyhycJZoIoA7lsOh1s_7e5AmY",
     false},
    {"/set",
     "eyJhbGciOiJFUzM4NCIsImtpZCI6ImUzODQiLCJiNjQiOmZhbHNlfQ.eyJzdWIiOiJhbm4iLCJleHAiOjQxMDI"
     "0NDQ4MDB9.snz3v9N-j8yo6gdB33lan1Yasc61uvD_REldztvT0BoR37-QdrNi82Ml-6z5F3ve_wFj077rMlP2"
     "Au1AJ8sdCl5sf3th5G94RwxNJNkrxW8011JG-XWPagOdVzWkNv8W",
     false},
    {"/set",
     "eyJhbGciOiJFUzM4NCIsImtpZCI6ImUzODQifQ.eyJzdWIiOiJhbm4iLCJleHAiOjQxMDI0NDQ4MDB9.R9QY7B"
     "8nmyL6XSVFP60WgV0nnuWxr_DjuWXSvyVmZRmuEch-ZOH5U7I4MBrWi_2_TWQv_Ll0ucJejX0tHZdwxSlSq6Ga"
     "soolVeriT-W7RKpXq5DAtkDaZLWYIiy_Ybe9.x",
     false},
    {"/set",
     "eyJhbGciOiJFUzM4NCIsImtpZCI6ImUzODQifQ.eyJzdWIiOiJhbm4iLCJleHAiOjQxMDI0NDQ4MDB9.Yg624e"
     "e9pORyHK8UlplHTYMLTvVLfdQab989cZkbMwsyMS2fc3pe28aNQlw9S9qC6LN03EOZhIbWkdoK_09CZDcbQqsO"
     "lEOvDVEyDw3a39sk0hos1NCh8TIG3dF8",
     false},
    {"/set",
     "eyJhbGciOiJFUzM4NCIsImtpZCI6ImUzODQifQ..eyJzdWIiOiJhbm4iLCJleHAiOjQxMDI0NDQ4MDB9.Dme-m"
     "YvJdlJxd8dRb1gbHQnLKbFP72G9akU_n_O7SNK4fNDn537LImHJ_Msiui9kj567wj6YK9B6khVUdrFMX9y_1gd"
     "H51xgG6KiEoLTbpj0rC-FLZBFlPh7pHEuxBAe",
     false},
    {"/set", "e30.e30", false},
    {"/set",
     "eyJhbGciOiJFUzM4NCIsImtpZCI6Imtra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2"
     "tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tr"
     "a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2"
     "tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tr"
     "a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2"
     "tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tr"
     "a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2"
     "tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tr"
     "a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2"
     "tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2trayJ9.eyJzdWIiOiJhbm4iLCJleHAiOjQ"
     "xMDI0NDQ4MDB9.4ooLpU23ssUMqkfxKuwMj2-T9g--V_cAQPBLRxTe96N2w-XmBof1MqoJ8B-pGidih0dWtsYD"
     "senQsB62eRg2x3gvYuobNRRnffFZtzcKHohAeLF3uVOgSMQ0-cVZUIzy",
     false},
    {"/set", "W10.e30.AAAA", false},
};
