// Comparing decoded messages field by field, so that a failed test names the field.
#pragma once

#include <gtest/gtest.h>

#include "messages/frame.hpp"
#include "messages/rpc.hpp"

namespace dkv::test {

inline void expect_equal(const std::shared_ptr<const Session>& got,
                         const std::shared_ptr<const Session>& wanted) {
  ASSERT_EQ(got == nullptr, wanted == nullptr);
  if (wanted) {
    EXPECT_EQ(*got, *wanted);
  }
}

inline void expect_equal(const rpc::Request& got, const rpc::Request& wanted) {
  expect_equal(got.session, wanted.session);
  EXPECT_EQ(got.type, wanted.type);
  EXPECT_EQ(got.request_id, wanted.request_id);
  EXPECT_EQ(got.client_id, wanted.client_id);
  EXPECT_EQ(got.number, wanted.number);
  EXPECT_EQ(got.read, wanted.read);
  EXPECT_EQ(got.ack, wanted.ack);
  EXPECT_EQ(got.atomic, wanted.atomic);
  ASSERT_EQ(got.control == nullptr, wanted.control == nullptr);
  if (wanted.control) {
    EXPECT_EQ(*got.control, *wanted.control);
  }
  ASSERT_EQ(got.scan == nullptr, wanted.scan == nullptr);
  if (wanted.scan) {
    EXPECT_EQ(*got.scan, *wanted.scan);
  }
  ASSERT_EQ(got.operations.size(), wanted.operations.size());
  for (std::size_t i = 0; i < wanted.operations.size(); ++i) {
    EXPECT_EQ(got.operations[i].code, wanted.operations[i].code) << "operation " << i;
    EXPECT_EQ(got.operations[i].key, wanted.operations[i].key) << "operation " << i;
    EXPECT_EQ(got.operations[i].value, wanted.operations[i].value) << "operation " << i;
    EXPECT_EQ(got.operations[i].report_created, wanted.operations[i].report_created) << "operation " << i;
    EXPECT_EQ(got.operations[i].condition.kind, wanted.operations[i].condition.kind) << "operation " << i;
    EXPECT_EQ(got.operations[i].condition.version, wanted.operations[i].condition.version)
        << "operation " << i;
    EXPECT_EQ(got.operations[i].amount, wanted.operations[i].amount) << "operation " << i;
    EXPECT_EQ(got.operations[i].ttl, wanted.operations[i].ttl) << "operation " << i;
    EXPECT_EQ(got.operations[i].number, wanted.operations[i].number) << "operation " << i;
  }
}

inline void expect_equal(const OperationResult& got, const OperationResult& wanted) {
  EXPECT_EQ(got.code, wanted.code);
  EXPECT_EQ(got.created, wanted.created);
  EXPECT_EQ(got.version, wanted.version);
  EXPECT_EQ(got.value, wanted.value);
  EXPECT_EQ(got.ttl_ms, wanted.ttl_ms);
  EXPECT_EQ(got.message, wanted.message);
  ASSERT_EQ(got.moved == nullptr, wanted.moved == nullptr);
  if (wanted.moved) {
    EXPECT_EQ(*got.moved, *wanted.moved);
  }
}

inline void expect_equal(const std::vector<OperationResult>& got,
                         const std::vector<OperationResult>& wanted) {
  ASSERT_EQ(got.size(), wanted.size());
  for (std::size_t i = 0; i < wanted.size(); ++i) expect_equal(got[i], wanted[i]);
}

inline void expect_equal(const rpc::ScanReply& got, const rpc::ScanReply& wanted) {
  ASSERT_EQ(got.moved == nullptr, wanted.moved == nullptr);
  if (wanted.moved) {
    EXPECT_EQ(*got.moved, *wanted.moved);
  }
  EXPECT_EQ(got.items, wanted.items);
  EXPECT_EQ(got.ended, wanted.ended);
  EXPECT_EQ(got.next, wanted.next);
}

inline void expect_equal(const Error& got, const Error& wanted) {
  EXPECT_EQ(got.code, wanted.code);
  EXPECT_EQ(got.message, wanted.message);
}

inline void expect_equal(const rpc::Reply& got, const rpc::Reply& wanted) {
  expect_equal(got.session, wanted.session);
  EXPECT_EQ(got.request_id, wanted.request_id);
  ASSERT_EQ(got.body.index(), wanted.body.index());
  std::visit(
      [&](const auto& body) {
        using Body = std::decay_t<decltype(body)>;
        if constexpr (std::is_same_v<Body, rpc::TopologyReply> || std::is_same_v<Body, NodeStatus> ||
                      std::is_same_v<Body, rpc::ControlReply>) {
          EXPECT_EQ(std::get<Body>(got.body), body);
        } else {
          expect_equal(std::get<Body>(got.body), body);
        }
      },
      wanted.body);
}

inline void expect_equal(const FrameView& got, const FrameView& wanted) {
  EXPECT_EQ(got.shard, wanted.shard);
  EXPECT_EQ(got.epoch, wanted.epoch);
  EXPECT_EQ(got.prev, wanted.prev);
  EXPECT_EQ(got.commit, wanted.commit);
  ASSERT_EQ(got.events.size(), wanted.events.size());
  for (std::size_t i = 0; i < wanted.events.size(); ++i) {
    EXPECT_EQ(got.events[i].type, wanted.events[i].type) << "event " << i;
    EXPECT_EQ(got.events[i].key, wanted.events[i].key) << "event " << i;
    EXPECT_EQ(got.events[i].value, wanted.events[i].value) << "event " << i;
    EXPECT_EQ(got.events[i].expires_ms, wanted.events[i].expires_ms) << "event " << i;
  }
}

}  // namespace dkv::test
