#include "tests/fuzz/samples_bridge.hpp"

#include <initializer_list>

namespace spoke::fuzz {
namespace {

std::vector<Buffer> texts(std::initializer_list<std::string_view> all) {
    std::vector<Buffer> buffers;
    for (auto text : all) buffers.push_back(to_buffer(text));
    return buffers;
}

}  // namespace

std::vector<Buffer> bridge_samples_for(std::string_view check) {
    if (check == "request_target") {
        return texts({"/v1/devices/b%2042/commands?wait=8&x=a+b%20c", "/", "//a/?wait=99&&=&a",
                      "/v1/publish/a/%2B/%23?qos=1", "/%zz", "/%C3%A4?%00", "x"});
    }
    if (check == "command_body") {
        return texts({R"({"do":"unlock","args":{"ride":"r"},"ttl_ms":8000,"ref":"r_9f31","if":)"
                      R"({"lock":"locked"},"if_offline":"fail","if_busy":"queue","lane":"lock",)"
                      R"("supersede":false,"deliver":"once"})",
                      R"({"do":"ring","ttl_ms":1e3,"args":{"x":[1.5,null,true,-7,{"y":""}]}})",
                      R"({"do":"cancel"})", R"({"doo":"x"})", R"([[[[{}]]]])"});
    }
    if (check == "device_body") {
        return texts({R"({"alias":"blue","profile":null,"tags":["b","a","a"],"deny":["*"]})", "{}",
                      R"({"tags":["a b"]})"});
    }
    if (check == "event_operation") {
        return texts(
            {R"({"op":"sub","topic":"t/1/#","since":"k7.9","q":1})",
             R"({"op":"unsub","topic":"t/1/#","q":"a"})",
             R"({"op":"publish","topic":"a/b","data":{"x":[1.5,null]},"qos":1,"retain":true,"key":"k\"","q":2})",
             R"({"op":"publish","topic":"ä?&","text":"\u0007"})",
             R"({"op":"command","device":"b 42","do":"unlock","args":{},"key":"k","wait":8,"q":3})",
             R"({"op":"read","who":"7777","upto":"k7.88","q":18446744073709551615})"});
    }
    if (check == "token") {
        return texts(
            {"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIiwiZXhwIjoxNzk1Mzc3NjAwLCJzY29wZSI6ImF1ZG"
             "l0IGNvbW1hbmQ6KiIsImRldiI6WyJiMSJdfQ.wtBo6_DbPTSacWk8ef0zk5o1tOLkU_aPTeouH2"
             "RoarA",
             "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJhIiwiZXhwIjoxNzk1Mzc3NjAwLj"
             "AsIm5iZiI6MSwiYXVkIjpbIngiXSwic2NvcGUiOlsiYXVkaXQiXX0.iP5l7PVYY2gPkGg_khKq_"
             "ClbqfhC-Bd0VicNPYK2Nqw",
             "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIiwiZXhwIjoxNzk1Mzc3NjAwfQ.IbPYJRYYY2HAuh6P"
             "BGvHvgg_Fnuo2niNYcGA0k98swc",
             "..", "e30.e30.e30"});
    }
    if (check == "key_set") {
        return texts({R"({"keys":[{"kty":"oct","kid":"a","alg":"HS256","k":)"
                      R"("MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY"}]})",
                      R"({"keys":[{"kty":"EC","crv":"P-256","use":"sig",)"
                      R"("x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",)"
                      R"("y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}]})",
                      R"({"keys":[{"kty":"RSA","key_ops":["verify"],"n":"AQAB","e":"AQAB"}]})"});
    }
    if (check == "api_keys") {
        return texts(
            {"ops ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad never audit\n"
             "# remark\n\nb ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad "
             "2027-01-31T12:00:00Z publish:a/+/# command:*\r\n",
             "x y z\n"});
    }
    return {};
}

}  // namespace spoke::fuzz
