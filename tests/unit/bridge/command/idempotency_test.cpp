#include "bridge/command/idempotency.hpp"

#include <catch2/catch.hpp>

#include "tests/unit/bridge/support/fixture.hpp"

namespace spoke::bridge::test {

TEST_CASE("idempotency index: by key for good, by ref until it is released",
          "[bridge][idempotency]") {
    auto random = counting_random();
    auto id = CommandId::make(WallTime{1s}, random);
    auto other = CommandId::make(WallTime{2s}, random);
    auto request = unlock();
    request.ref = "r1";
    IdempotencyIndex index;
    CHECK_FALSE(index.find(request, "k1"));
    index.add(request, "k1", id);
    CHECK(index.find(unlock(), "k1") == id);
    CHECK(index.find(request, "") == id);
    CHECK(index.find(request, "k2") == id);
    CHECK_FALSE(index.find(unlock(), ""));

    auto another_device = request;
    another_device.device = "b43";
    CHECK_FALSE(index.find(another_device, ""));
    auto another_verb = request;
    another_verb.verb = "lock";
    CHECK_FALSE(index.find(another_verb, ""));

    index.release_ref(request, other);  // not the one that holds it
    CHECK(index.find(request, "") == id);
    index.release_ref(request, id);
    CHECK_FALSE(index.find(request, ""));
    CHECK(index.find(request, "k1") == id);
    index.release_key("k1", other);
    CHECK(index.find(request, "k1") == id);
    index.release_key("k1", id);
    CHECK_FALSE(index.find(request, "k1"));
}

}  // namespace spoke::bridge::test
