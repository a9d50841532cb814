"""What the RFCs require: the rules as data, and the checks that judge exchanges."""
