#include "device-sim/faults/fault.hpp"

namespace spoke::sim {
namespace {

constexpr std::array<FaultRow, kFaultCount> kTable{{
    {Fault::duplicate, "duplicate", FaultBase::orders,
     "handed to the lock a second time, up to 12 s later"},
    {Fault::puback_lost, "puback-lost", FaultBase::orders,
     "taken, but the connection ends before its PUBACK leaves"},
    {Fault::puback_late, "puback-late", FaultBase::orders,
     "the PUBACK leaves 1 to 3 s later, after the answer"},
    {Fault::answer_lost, "answer-lost", FaultBase::orders, "the answer never leaves the bike"},
    {Fault::answer_late, "answer-late", FaultBase::orders, "the answer leaves 3 to 20 s later"},
    {Fault::crash, "crash", FaultBase::orders,
     "power is lost after the receipt, before the motor moves"},
    {Fault::jam, "jam", FaultBase::orders, "the motor jams"},
    {Fault::slow_motor, "slow-motor", FaultBase::orders,
     "the motor takes 2 to 9 s; after 8 s it is given up"},
    {Fault::stall, "stall", FaultBase::bikes_per_minute,
     "half-open for 1 to 120 s: the socket stays, nothing is read or sent"},
    {Fault::cut, "cut", FaultBase::bikes_per_minute, "the connection ends with RST"},
    {Fault::vanish, "vanish", FaultBase::bikes_per_minute,
     "the bike forgets its connection without a FIN and makes another"},
    {Fault::reboot, "reboot", FaultBase::bikes_per_minute, "power is lost for a moment"},
    {Fault::clock_jump, "clock-jump", FaultBase::bikes_per_minute,
     "the clock jumps by up to 10 min, forth or back"},
    {Fault::clock_wrong, "clock-wrong", FaultBase::bikes, "the clock is wrong by up to an hour"},
    {Fault::clock_none, "clock-none", FaultBase::bikes, "there is no clock"},
    {Fault::low_battery, "low-battery", FaultBase::bikes,
     "3 % are left: the motor works a few times more or not at all"},
    {Fault::twin, "twin", FaultBase::bikes,
     "another device with the same id, which takes orders and is silent"},
    {Fault::garage, "garage", FaultBase::bikes, "out of reach for 10 to 40 s about every minute"},
    {Fault::storm, "storm", FaultBase::moment, "so many connections end at once"},
}};

}  // namespace

std::span<FaultRow const> fault_table() noexcept {
    return kTable;
}

std::string_view to_text(Fault fault) noexcept {
    return kTable[static_cast<std::size_t>(fault)].name;
}

}  // namespace spoke::sim
