#include "broker/net/mailbox.hpp"

#include <array>
#include <atomic>
#include <catch2/catch.hpp>
#include <thread>
#include <vector>

#include "broker/net/connection.hpp"

using namespace spoke;
using namespace spoke::broker;

namespace {

std::unique_ptr<Mail> mail_that(std::function<void()> task) {
    auto mail = std::make_unique<Mail>();
    mail->tasks.push_back(std::move(task));
    return mail;
}

void run_all(Mailbox& mailbox) {
    mailbox.take_all([](Mail& mail) {
        for (auto& task : mail.tasks) task();
    });
}

}  // namespace

TEST_CASE("mailbox: mail is taken in the order it was put, once") {
    Mailbox mailbox;
    std::vector<int> seen;
    CHECK(mailbox.empty());
    for (int i = 0; i < 5; ++i) mailbox.put(mail_that([&seen, i] { seen.push_back(i); }));
    CHECK_FALSE(mailbox.empty());
    run_all(mailbox);
    CHECK(seen == std::vector<int>{0, 1, 2, 3, 4});
    CHECK(mailbox.empty());
    run_all(mailbox);
    CHECK(seen.size() == 5);
}

TEST_CASE("mailbox: what is put while mail is taken waits for the next time") {
    Mailbox mailbox;
    int runs = 0;
    mailbox.put(mail_that([&] {
        ++runs;
        mailbox.put(mail_that([&] { ++runs; }));
    }));
    run_all(mailbox);
    CHECK(runs == 1);
    run_all(mailbox);
    CHECK(runs == 2);
}

TEST_CASE("mailbox: frees what nobody took") {
    auto counted = std::make_shared<int>(0);
    {
        Mailbox mailbox;
        for (int i = 0; i < 3; ++i) mailbox.put(mail_that([counted] {}));
        CHECK(counted.use_count() == 4);
    }
    CHECK(counted.use_count() == 1);
}

TEST_CASE("mailbox: several threads put, one takes: nothing is lost, each one's order is kept") {
    constexpr int kThreads = 3;
    constexpr int kEach = 20'000;
    Mailbox mailbox;
    std::array<int, kThreads> next{};
    bool in_order = true;
    std::atomic<int> finished{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < kThreads; ++t) {
        threads.emplace_back([&, t] {
            for (int i = 0; i < kEach; ++i) {
                mailbox.put(mail_that([&, t, i] {
                    auto& expected = next[static_cast<std::size_t>(t)];
                    in_order = in_order && i == expected;
                    ++expected;
                }));
            }
            ++finished;
        });
    }
    while (finished < kThreads || !mailbox.empty()) run_all(mailbox);
    for (auto& thread : threads) thread.join();
    CHECK(in_order);
    for (int n : next) CHECK(n == kEach);
}
