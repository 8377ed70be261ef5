// What people may write where a signal is asked for.
#include "signal_text.h"

#include <gtest/gtest.h>

#include <string>

namespace leat::tools {
namespace {

const std::string kPipeline = "0192f0c1-0000-7000-8000-000000000001";

TEST(SignalText, IsAPipelineAndANameAndMeansTrue) {
  const auto signal = parse_signal(kPipeline + ":approved");
  ASSERT_TRUE(signal) << signal.error();
  EXPECT_EQ(signal->pipeline.to_string(), kPipeline);
  EXPECT_EQ(signal->name, "approved");
  EXPECT_EQ(signal->value, "true");
}

TEST(SignalText, HasAValueBehindTheFirstEqualsSign) {
  const auto signal = parse_signal(kPipeline + R"(:approved={"by":"a=b:c"})");
  ASSERT_TRUE(signal) << signal.error();
  EXPECT_EQ(signal->name, "approved");
  EXPECT_EQ(signal->value, R"({"by":"a=b:c"})");
}

TEST(SignalText, SaysWhatIsAccepted) {
  for (const std::string& text :
       {std::string(), std::string(":go"), kPipeline, std::string("x:go"), kPipeline + "=1:go"}) {
    const auto signal = parse_signal(text);
    ASSERT_FALSE(signal) << text;
    EXPECT_NE(signal.error().find("accepted: PIPELINE:NAME"), std::string::npos);
  }
}

}  // namespace
}  // namespace leat::tools
