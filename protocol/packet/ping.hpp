#pragma once

namespace spoke::mqtt {

/// PINGREQ (3.12).
struct PingReq {
    friend bool operator==(PingReq, PingReq) = default;
};

/// PINGRESP (3.13).
struct PingResp {
    friend bool operator==(PingResp, PingResp) = default;
};

}  // namespace spoke::mqtt
