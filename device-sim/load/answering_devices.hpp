#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "device-sim/load/flow.hpp"
#include "device-sim/load/workload.hpp"

namespace spoke::sim::load {

/// devices: as many devices as wanted, which answer every order on `d/{id}/cmd` at once with `ok`,
/// so that what is measured of a command is the way, not the lock. Their births and states are
/// retained; `known` further ones are born and not connected. Tells `{"ready":true}` on stdout when
/// all of them are there, and goes on for the time given.
class AnsweringDevices final : public Workload {
public:
    explicit AnsweringDevices(Settings const& settings) : Workload{settings} {}

    Outcome run() override;

    /// The id of the device with this number, its client id too.
    [[nodiscard]] static std::string id_of(std::string_view run_id, std::uint32_t number);

private:
    struct Device {
        std::string id;
        PacketIds ids;
        std::vector<std::string> waiting{};  // answers for which no packet id was free
    };

    void give_birth(Client& through, std::string const& id, Device& sender);
    void publish(Client& client, Device& sender, std::string topic, std::string_view payload,
                 bool retain);
    void bear_unconnected(Group const& group);

    void on_turn_end() override;
    void on_delivery(Client& client, Delivery const& delivery) override;
    void on_acknowledged(Client& client, Acknowledgement const& acknowledgement) override;

    std::vector<Device> devices_;
    Client* midwife_ = nullptr;  // through which those that are away are born
    std::uint32_t unborn_ = 0;
    std::uint32_t birth_ = 0;               // whose birth is being given, from 1; 0: nobody's
    std::vector<std::uint32_t> births_{};   // by packet id: whose birth is on its way
    std::vector<std::uint32_t> refused_{};  // births to be given again
    std::uint64_t orders_ = 0;
    std::uint64_t not_understood_ = 0;
    std::uint64_t published_ = 0;
    std::uint64_t acknowledged_ = 0;
};

}  // namespace spoke::sim::load
